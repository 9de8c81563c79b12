import assert from 'node:assert/strict';
import test from 'node:test';
import { assertProcess, statedExposure } from './exposure.ts';
import { processFacts } from './facts.ts';
import type { ProcessFacts } from './facts.ts';
import { revealingOptions } from './harden.ts';

/** A machine on which nothing is open. */
const closed: Record<string, string> = {
  '/proc/self/status': 'Name:\tnode\nTracerPid:\t0\nVmSwap:\t       0 kB\n',
  '/proc/self/limits':
    'Limit                     Soft Limit           Hard Limit           Units     \nMax core file size        0                    0                    bytes     \n',
  '/proc/self/coredump_filter': '00000000\n',
  '/proc/sys/kernel/yama/ptrace_scope': '1\n',
  '/proc/swaps': 'Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n',
  '/proc/self/cgroup': '0::/system.slice/trialkeep.service\n',
};

function factsOf(changes: Record<string, string | undefined> = {}): ProcessFacts {
  const files: Record<string, string | undefined> = { ...closed, ...changes };
  return processFacts((path) => files[path]);
}

const swapOn = (device: string): string => `${closed['/proc/swaps']}${device} partition 2097148 0 -2\n`;

test('on a machine on which nothing is open there is nothing to say [URS-044]', () => {
  assert.deepEqual(statedExposure(factsOf()), []);
});

test('each way into the memory of the process is said [URS-044]', () => {
  const cases: [string, string | undefined, RegExp][] = [
    ['/proc/self/limits', undefined, /not known/],
    ['/proc/self/status', 'TracerPid:\t42\n', /debugger is attached \(process 42\)/],
    ['/proc/sys/kernel/yama/ptrace_scope', '0\n', /ptrace_scope/],
    ['/proc/sys/kernel/yama/ptrace_scope', undefined, /ptrace_scope/],
    ['/proc/swaps', swapOn('/dev/sda2'), /not known to be encrypted/],
    ['/proc/swaps', swapOn('/swapfile'), /not known to be encrypted/],
    ['/proc/swaps', undefined, /not known to be encrypted/],
  ];
  for (const [file, content, expected] of cases) {
    const said = statedExposure(factsOf({ [file]: content }));
    assert.equal(said.length, 1, file);
    assert.match(said[0] ?? '', expected);
  }
});

test('a core file is said where it would hold memory, and only there [URS-044]', () => {
  const limits = closed['/proc/self/limits']?.replace('size        0', 'size        unlimited');
  const both = { '/proc/self/limits': limits, '/proc/self/coredump_filter': '00000033\n' };
  assert.match(statedExposure(factsOf(both)).join(), /core dump with keys/);
  assert.equal(factsOf(both).coreFileBytes, Infinity);
  assert.deepEqual(statedExposure(factsOf({ ...both, '/proc/self/coredump_filter': '0\n' })), []);
  assert.deepEqual(statedExposure(factsOf({ '/proc/self/coredump_filter': '00000033\n' })), []);
});

test('swap is said unless it is encrypted, in memory, or not for this process [URS-044]', () => {
  const swap = { '/proc/swaps': swapOn('/dev/dm-1') };
  const encrypted = { ...swap, '/sys/block/dm-1/dm/uuid': 'CRYPT-PLAIN-swap' };
  assert.equal(factsOf(encrypted).swap, 'encrypted');
  assert.equal(factsOf({ ...swap, '/sys/block/dm-1/dm/uuid': 'LVM-1' }).swap, 'unknown');
  assert.equal(factsOf({ '/proc/swaps': swapOn('/dev/zram0') }).swap, 'memory');
  const kept = '/sys/fs/cgroup/system.slice/trialkeep.service/memory.swap.max';
  assert.equal(factsOf({ ...swap, [kept]: '0\n' }).swap, 'none');
  assert.equal(factsOf({ ...swap, [kept]: 'max\n' }).swap, 'unknown');
  const both = `${swapOn('/dev/zram0')}/dev/sda2 partition 1 0 -3\n`;
  assert.equal(factsOf({ '/proc/swaps': both }).swap, 'unknown');
  const swapped = { ...encrypted, '/proc/self/status': 'TracerPid:\t0\nVmSwap:\t 4 kB\n' };
  assert.match(statedExposure(factsOf(swapped)).join(), /4096 bytes are in swap/);
});

test('options that reveal memory are found in the command and in NODE_OPTIONS, however they are written [URS-044]', () => {
  const refused = [
    '--inspect',
    '--inspect-brk=0.0.0.0:9229',
    '--inspect_port=1',
    '--heapsnapshot-signal=SIGUSR2',
    '--heapsnapshot-near-heap-limit=3',
    '--heap-prof',
    '--cpu-prof-dir=/tmp',
    '--report-on-fatalerror',
    '--report-on-signal',
    '--report-uncaught-exception',
    '--abort-on-uncaught-exception',
  ];
  for (const option of refused) {
    assert.equal(revealingOptions([option]).length, 1, option);
    assert.equal(revealingOptions([], `--no-warnings "${option}"`).length, 1, option);
  }
  const harmless = [
    '--disable-sigusr1',
    '--secure-heap=1048576',
    '--report-exclude-env',
    '--enable-fips',
    '--test',
  ];
  assert.deepEqual(revealingOptions(harmless, '--max-old-space-size=512 --import ./inspect.ts'), []);
});

test('a FIPS provider that is required and not active keeps the server from starting [URS-001] [URS-085]', () => {
  const facts = { ...factsOf(), isFips: false };
  const start = (fips: 'required' | 'off', isFips: boolean): void =>
    assertProcess({ profile: 'evaluation', fips }, { ...facts, isFips });
  assert.throws(() => start('required', false), { code: 'process.fips_required' });
  start('required', true);
  start('off', false);
  assertProcess({ profile: 'evaluation' }, facts);
});

test('under the regulated profile nobody may be reading along [URS-044]', () => {
  for (const observed of [{ isInspected: true }, { tracer: 42 }]) {
    const facts = { ...factsOf(), ...observed };
    assert.throws(() => assertProcess({ profile: 'regulated' }, facts), { code: 'process.observed' });
    assertProcess({ profile: 'evaluation' }, facts);
  }
  assertProcess({ profile: 'regulated' }, factsOf());
});
