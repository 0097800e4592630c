"""Changes the network once an interval, in a process of its own: signs what is new and posts it to the authorities."""

import time

import authorities
import descriptors
import workers


def _sign(job):
    keys, relay, now = job
    return descriptors.Signer(keys, now).descriptor(relay, now)


class Publisher:
    """The descriptors of a population; a relay's signer is made when it is first needed."""

    def __init__(self, keys, population):
        self.keys = keys
        self.population = population
        self.signers = {}

    def publish(self, numbers):
        """Signs those and posts them. What authorities refuse, or do not answer, is told."""
        now = int(time.time())
        return authorities.post_all([self._descriptor(n, now) for n in numbers])

    def publish_all(self, progress):
        """The same of all that take part, on all processors."""
        now, lost, waiting, done = int(time.time()), [], [], 0
        present = self.population.present
        jobs = ((self.keys[n], self.population.relays[n], now) for n in range(present))
        with workers.pool() as pool:
            for text in pool.imap(_sign, jobs, chunksize=10):
                waiting.append(text)
                done += 1
                if len(waiting) == authorities.MOST_A_POST or done == present:
                    lost += authorities.post_all(waiting)
                    waiting = []
                    progress(done, present)
        return lost

    def _descriptor(self, number, now):
        if number not in self.signers:
            self.signers[number] = descriptors.Signer(self.keys[number], now)
        return self.signers[number].descriptor(self.population.relays[number], now)


def run(publisher, interval, write_bandwidth, log):
    """Until it is ended. Soon after a consensus is published, so that the next vote has it all."""
    with log.open("w") as file:
        while True:
            time.sleep(interval - time.time() % interval + 1)
            numbers = publisher.population.step()
            write_bandwidth(publisher.population.bandwidth_file(time.time()))
            lost = publisher.publish(numbers)
            print(f"{time.time():.0f} {len(numbers)} published, {publisher.population.present} present", *lost, sep="; ", file=file,
                  flush=True)
