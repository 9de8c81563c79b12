import { openReporter } from './reporter.ts';
import { nameOf, newUse } from './fixture.test.ts';

/** A process that records uses of data keys, says which receipts are on disk, and goes on until it is killed. */

const reporter = await openReporter({ folder: process.argv[2] ?? '' });
const lane = async (): Promise<never> => {
  for (;;) {
    const use = newUse();
    await reporter.record(use);
    process.stdout.write(`${nameOf(use)}\n`);
  }
};
await Promise.all([lane(), lane(), lane()]);
