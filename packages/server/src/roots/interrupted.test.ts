import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { arrange } from '../dual-control.fixture.test.ts';
import { makeServer } from '../fixture.test.ts';
import { dieAt } from './epoch-files.fixture.test.ts';
import { Epochs } from './epochs.ts';
import type { ShredStore } from '../shred/index.ts';
import { renewEpoch } from '../erasure/index.ts';

test('a change of the epoch that dies at any step, in the folder or in the store, is gone on with [URS-037] [URS-083]', async (t) => {
  const server = await makeServer(t);
  const { tenant } = await arrange(server);
  const { directory, hierarchy, root, shred } = server.instance;
  const aliases = Array.from({ length: 5 }, (_, i) => i.toString(16).padStart(32, '0'));
  for (const alias of aliases) await hierarchy.createShreddable(tenant, 'subject', alias);
  const seen = new Set<string>();
  for (let nth = 1; ; nth++) {
    const { done, revive, step } = dieAt(t, nth);
    const dying = Object.create(shred) as ShredStore;
    for (const name of ['epoch', 'advance', 'olderThan', 'move'] as const) {
      const real = shred[name].bind(shred) as (...args: unknown[]) => Promise<unknown>;
      const stopping = async (...args: unknown[]): Promise<unknown> => {
        step(name);
        return real(...args);
      };
      Object.assign(dying, { [name]: stopping });
    }
    const died = await renewEpoch({ epochs: new Epochs(directory.root, root), shred: dying }).then(
      () => undefined,
      (error: unknown) => error,
    );
    revive();
    for (const name of done) seen.add(name);
    if (done.length < nth) {
      assert.equal(died, undefined);
      break;
    }
    assert.match(String(died), /power went|Dead/, done.join(' '));
    // A restart, and the job again.
    const epochs = new Epochs(directory.root, root);
    epochs.sweep();
    await epochs.open(await shred.epoch());
    server.instance.epochs.refresh();
    hierarchy.releaseTenant(tenant);
    for (const alias of aliases)
      assert.ok(await hierarchy.shreddable(tenant, 'subject', alias), done.join(' '));
    const { number } = await renewEpoch({ epochs, shred });
    assert.deepEqual(epochs.numbers(), [number]);
    assert.equal(await shred.epoch(), number);
    const left = readdirSync(directory.root).filter((name) => /^epoch.*\.retired$/.test(name));
    assert.deepEqual(left, [], done.join(' '));
  }
  const steps = [
    'write',
    'link',
    'rename',
    'sync',
    'overwrite',
    'unlink',
    'epoch',
    'advance',
    'olderThan',
    'move',
  ];
  assert.deepEqual([...seen].toSorted(), steps.toSorted());
});
