import {
  cpSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
  rmSync,
  readdirSync,
  chmodSync,
} from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { newInstallation, ServerProcess, makeFolder, trialkeep } from './harness.ts';
import { newTenant } from './tenant.ts';
const { data, administrator } = await newInstallation();
const server = await ServerProcess.start(data);
await newTenant(server, administrator.secret, 'Probe');
await server.stop();
console.log(readdirSync(data, { recursive: true }));
const db = join(data, 'state', 'trialkeep.db');
console.log(statSync(db).size);
async function tryIt(name: string, spoil: (d: string) => void, more: string[] = []) {
  const d = join(makeFolder(), 'data');
  cpSync(data, d, { recursive: true });
  spoil(d);
  const ran = await trialkeep(['server', '--data', d, '--port', '0', '--json', ...more], { onStart: (pid) => setTimeout(() => { try { process.kill(pid, 'SIGTERM') } catch {} }, 3000).unref() });
  console.log(name, ran.status, ran.stderr.slice(0, 600), ran.stdout);
  console.log(readdirSync(d, { recursive: true }).join(' '));
}
const size = statSync(db).size;
for (const n of [0, 10, 100, 512, 4096, 8192, (size / 2) | 0, size - 4096, size - 1])
  await tryIt('truncate ' + n, (d) => truncateSync(join(d, 'state/trialkeep.db'), n));
await tryIt('truncate shred', (d) => truncateSync(join(d, 'shred/shred.db'), 4096));
await tryIt('zero half', (d) => {
  const b = readFileSync(join(d, 'state/trialkeep.db'));
  b.fill(0, (b.length / 2) | 0);
  writeFileSync(join(d, 'state/trialkeep.db'), b);
});
await tryIt('garbage tail', (d) => {
  const b = readFileSync(join(d, 'state/trialkeep.db'));
  b.fill(0x5a, 4096);
  writeFileSync(join(d, 'state/trialkeep.db'), b);
});
await tryIt('dir as db', (d) => {
  rmSync(join(d, 'state/trialkeep.db'));
  cpSync(join(d, 'root'), join(d, 'state/trialkeep.db'), { recursive: true });
});
await tryIt('passphrase empty', (d) => {
  writeFileSync(join(d, 'root/passphrase'), '');
});
await tryIt('passphrase wrong', (d) => {
  writeFileSync(join(d, 'root/passphrase'), 'wrong');
});
await tryIt('root.json broken', (d) => {
  writeFileSync(join(d, 'root/root.json'), '{');
});
await tryIt('root.json field', (d) => {
  writeFileSync(join(d, 'root/root.json'), '{}');
});
await tryIt('root.json missing', (d) => {
  rmSync(join(d, 'root/root.json'));
});
await tryIt('epoch missing', (d) => {
  rmSync(join(d, 'root/epoch.json'));
});
await tryIt('anchor garbage', (d) => {
  for (const f of readdirSync(join(d, 'anchor'))) writeFileSync(join(d, 'anchor', f), 'garbage');
});
await tryIt('config dir', (d) => {
  rmSync(join(d, 'trialkeep.json'));
  cpSync(join(d, 'root'), join(d, 'trialkeep.json'), { recursive: true });
});
await tryIt('lock text', (d) => {
  writeFileSync(
    join(d, 'lock'),
    'some text that is no database, longer than a header page ' + 'x'.repeat(5000),
  );
});
await tryIt('row', (d) => {
  const x = new DatabaseSync(join(d, 'state/trialkeep.db'));
  x.exec('delete from instance');
  x.close();
});
await tryIt('head', (d) => {
  const x = new DatabaseSync(join(d, 'state/trialkeep.db'));
  x.exec("update head set root = x'00' where log = 2");
  x.close();
});
