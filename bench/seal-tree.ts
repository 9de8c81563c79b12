/**
 * Sealing and opening a folder of many small files: `trialkeep` beside `tar | age`, which makes one stream of them, and beside age
 * file by file. Whole processes, alternating, one after the other, with all results flushed to the disk. Ours asks a running server for
 * its data keys and leaves entries in the ledger.
 *
 *   node bench/seal-tree.ts [--files 10000] [--rounds 5] [--age-files 500] [--folder DIR]
 *
 * Each round writes to places of its own, and nothing is removed before the end: ext4 does not use an inode again for minutes after a
 * removal, and searches long for another one.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { randomFillSync, randomInt } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startBenchServer } from './bench-server.ts';
import { machine, measureProcess, median, spread } from './measure.ts';
import type { Cost } from './measure.ts';
import { peerVersion } from './peers.ts';

const { values } = parseArgs({
  options: {
    files: { type: 'string', default: '10000' },
    rounds: { type: 'string', default: '5' },
    'age-files': { type: 'string', default: '500' },
    folder: { type: 'string', default: tmpdir() },
  },
});
const files = Number(values.files);
const rounds = Number(values.rounds);
const ageFiles = Math.min(Number(values['age-files']), files);
const trialkeep = fileURLToPath(new URL('../packages/cli/bin/trialkeep', import.meta.url));
const ageVersion = peerVersion('age');
if (ageVersion === undefined)
  console.log('age is not on PATH (tools/test-services.sh installs it): only ours is measured.');

const folder = mkdtempSync(join(values.folder, 'trialkeep-bench-'));
const source = join(folder, 'source');
const server = await startBenchServer(join(folder, 'data'));
try {
  const bytes = makeTree(source);
  const costs = await measureRounds();
  const peer = ageVersion === undefined ? '' : `, age ${ageVersion}`;
  console.log(`${files} files, ${(bytes / 2 ** 20).toFixed(0)} MiB, ${rounds} rounds, ${machine()}${peer}`);
  console.log('step                wall s, median (range)   CPU s, median (range)    peak MiB');
  for (const [name, measured] of costs) {
    const wall = spread(measured.map(({ seconds }) => seconds));
    const cpu = spread(measured.map(({ cpuSeconds }) => cpuSeconds));
    const peak = Math.max(...measured.map(({ peakMiB }) => peakMiB));
    const memory = Number.isNaN(peak) ? '-' : peak.toFixed(0);
    console.log(`${name.padEnd(20)}${wall.padEnd(25)}${cpu.padEnd(25)}${memory}`);
  }
  const wallOf = (name: string): number => median((costs.get(name) ?? []).map(({ seconds }) => seconds));
  if (ageVersion !== undefined) {
    console.log(`seal: ${(wallOf('tar | age') / wallOf('trialkeep seal')).toFixed(2)} × tar | age`);
    console.log(`open: ${(wallOf('age -d | tar x') / wallOf('trialkeep open')).toFixed(2)} × age -d | tar x`);
    const perFile = (wallOf('age per file') / ageFiles) * files;
    console.log(
      `seal: ${(perFile / wallOf('trialkeep seal')).toFixed(1)} × age per file (from ${ageFiles} files)`,
    );
  }
} finally {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
}

/** The first round fills the caches and is not counted. */
async function measureRounds(): Promise<Map<string, Cost[]>> {
  const env = {
    ...process.env,
    TRIALKEEP_URL: server.url,
    TRIALKEEP_CREDENTIAL: server.credential,
    XDG_STATE_HOME: join(folder, 'state'),
  };
  const identity = join(folder, 'identity');
  const recipient = ageVersion === undefined ? '' : makeAgeIdentity(identity);
  const costs = new Map<string, Cost[]>();
  for (let round = 0; round <= rounds; round++) {
    const place = join(folder, `round${round}`);
    mkdirSync(place);
    const at = (name: string): string => join(place, name);
    const seal = ['seal', source, '--key', server.key, '--out-dir', at('sealed')];
    const steps: Record<string, () => Cost | Promise<Cost>> = {
      'trialkeep seal': () => measureProcess(trialkeep, seal, env),
      'trialkeep check': () => measureProcess(trialkeep, ['open', at('sealed'), '--check'], env),
      'trialkeep open': () =>
        measureProcess(trialkeep, ['open', at('sealed'), '--out-dir', at('opened')], env),
    };
    if (ageVersion !== undefined) {
      const [tree, back, apart] = [at('tree.age'), at('back'), at('apart')];
      mkdirSync(back);
      mkdirSync(apart);
      steps['tar | age'] = () =>
        measureShell('tar -C "$1" -cf - source | age -r "$2" -o "$3" && sync -f "$3"', [
          folder,
          recipient,
          tree,
        ]);
      steps['age -d | tar x'] = () =>
        measureShell('age -d -i "$1" "$2" | tar -C "$3" -xf - && sync -f "$3"', [identity, tree, back]);
      steps['age per file'] = () =>
        measureShell(
          'find "$1" -type f | head -n "$2" | while read -r f; do age -r "$3" -o "$4/${f##*/}" "$f"; done; sync -f "$4"',
          [source, String(ageFiles), recipient, apart],
        );
    }
    for (const [name, step] of Object.entries(steps)) {
      const cost = await step();
      if (round > 0) costs.set(name, [...(costs.get(name) ?? []), cost]);
    }
  }
  return costs;
}

/** A folder of folders, 100 files in each, of 1 to 8 KiB. Returns their bytes. */
function makeTree(root: string): number {
  let bytes = 0;
  for (let index = 0; index < files; index++) {
    const inner = join(root, `folder${Math.floor(index / 100)}`);
    if (index % 100 === 0) mkdirSync(inner, { recursive: true });
    const content = randomFillSync(Buffer.alloc(randomInt(1024, 8193)));
    writeFileSync(join(inner, `file${index}`), content);
    bytes += content.length;
  }
  return bytes;
}

/** What a pipeline costs, all its processes together; their memory is not measured. */
function measureShell(script: string, args: readonly string[]): Cost {
  const started = performance.now();
  const { status, stdout, stderr } = spawnSync('sh', ['-ec', `${script}\ntimes`, 'sh', ...args], {
    encoding: 'utf8',
  });
  const seconds = (performance.now() - started) / 1000;
  if (status !== 0) throw new Error(`${script} ended with status ${status}: ${stderr}`);
  // User and system time of the shell, and of what it waited for.
  const cpuSeconds = [...stdout.matchAll(/(\d+)m([\d.]+)s/g)].reduce(
    (sum, [, minutes, rest]) => sum + 60 * Number(minutes) + Number(rest),
    0,
  );
  return { seconds, cpuSeconds, peakMiB: Number.NaN };
}

/** Makes an identity and gives its recipient. */
function makeAgeIdentity(path: string): string {
  execFileSync('age-keygen', ['-o', path], { stdio: 'ignore' });
  return execFileSync('age-keygen', ['-y', path], { encoding: 'utf8' }).trim();
}
