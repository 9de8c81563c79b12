import { join } from 'node:path';
import { StandInKeys } from './fixture.test.ts';
import { openFile, sealFile } from './file.ts';
import { serverKeys } from './server-keys.ts';

/** A process that seals `source` in the folder it is given, then opens the result until it is killed halfway. */

const folder = process.argv[2] ?? '';
const client = new StandInKeys();
const sealed = join(folder, 'sealed');
await sealFile(serverKeys(client, { key: client.newKey() }), {
  source: join(folder, 'source'),
  target: sealed,
});
await openFile(serverKeys(client), {
  source: sealed,
  target: join(folder, 'target'),
  onProgress: (done, total) => {
    if (done < total / 2) return;
    process.stdout.write('halfway\n');
    // Stops here, with half of the plaintext written, until the parent has sent SIGKILL.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  },
});
