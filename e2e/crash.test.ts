/**
 * `kill -9` of the server at random moments under load, over and over, on one data directory. TRIALKEEP_CRASH_KILLS says how
 * often (200 unless it is set), TRIALKEEP_CRASH_SEED repeats the choices of an earlier run.
 */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { AcknowledgementReader } from './crash/acknowledgements.ts';
import { Check } from './crash/check.ts';
import { Model } from './crash/model.ts';
import { Choices } from './crash/random.ts';
import { ServerCommand, startReady } from './crash/server.ts';

const kills = Number(process.env['TRIALKEEP_CRASH_KILLS'] ?? 200);
const seed = Number(process.env['TRIALKEEP_CRASH_SEED'] ?? randomInt(2 ** 31));
const killsPerExport = 20;

/** The load generator's process. */
class LoadProcess {
  readonly #child: ChildProcess;

  constructor(log: string, administrator: { id: string; secret: string }) {
    const file = fileURLToPath(new URL('./crash/load.ts', import.meta.url));
    this.#child = fork(file, [log, String(seed), administrator.id, administrator.secret]);
  }

  /** Loads the server; resolves when the load has noticed that it is gone. */
  async run(url: string): Promise<void> {
    this.#child.send({ url });
    await Promise.race([
      once(this.#child, 'message'),
      once(this.#child, 'exit').then(() => assert.fail('The load has ended.')),
    ]);
  }

  end(): void {
    this.#child.disconnect();
  }
}

class Crashes {
  readonly folder: string;
  readonly data: string;
  readonly cache: string;
  readonly choices = new Choices(seed);
  readonly model = new Model();
  readonly counts = { startUp: 0, early: 0, steady: 0, checks: 0, exports: 0 };
  #startUpMs = 1000;

  constructor(folder: string) {
    this.folder = folder;
    this.data = join(folder, 'data');
    this.cache = join(folder, 'compile-cache');
  }

  async run(): Promise<void> {
    const init = new ServerCommand(['init', '--data', this.data], this.cache);
    const made = (await init.answer()) as { administrator: { id: string; secret: string } } | undefined;
    assert.ok(made && (await init.end()), init.log);
    // A process that is killed leaves no compiled modules behind; this one does.
    await (await startReady(this.data, this.cache)).process.stop();

    const log = join(this.folder, 'acknowledged.jsonl');
    const load = new LoadProcess(log, made.administrator);
    const reader = new AcknowledgementReader(log);
    const check = new Check(this.model, made.administrator.secret, new Choices(seed + 1));
    try {
      for (let killed = 0; killed < kills; killed++) {
        const kind = this.#kind();
        if (kind === 'startUp') {
          await this.#killStarting();
          continue;
        }
        const started = Date.now();
        const { process, url } = await startReady(this.data, this.cache);
        this.#startUpMs = Date.now() - started;
        if (kind === 'steady') await this.#check(check, url, killed);
        const loaded = load.run(url);
        await pause(kind === 'early' ? this.choices.integer(0, 60) : this.choices.integer(30, 400));
        assert.ok(await process.kill(), `The server ended by itself: ${process.log}`);
        this.counts[kind]++;
        await loaded;
        this.model.read(reader.next());
      }
      const { process, url } = await startReady(this.data, this.cache);
      await check.run(url);
      await check.verifyLedgers(url, this.folder);
      await process.stop();
      this.entries = check.entries;
    } finally {
      load.end();
    }
  }

  entries = 0;

  #kind(): 'startUp' | 'early' | 'steady' {
    const fraction = this.choices.fraction();
    if (fraction < 0.3) return 'startUp';
    return fraction < 0.5 ? 'early' : 'steady';
  }

  async #killStarting(): Promise<void> {
    const starting = new ServerCommand(['serve', '--data', this.data, '--port', '0'], this.cache);
    await pause(this.choices.fraction() * this.#startUpMs);
    assert.ok(await starting.kill(), `The server ended by itself: ${starting.log}`);
    this.counts.startUp++;
  }

  async #check(check: Check, url: string, killed: number): Promise<void> {
    await check.run(url);
    this.counts.checks++;
    if (Math.floor(killed / killsPerExport) <= this.counts.exports) return;
    await check.verifyLedgers(url, this.folder);
    this.counts.exports++;
  }
}

test(`${kills} kills at random moments lose nothing that was acknowledged [URS-004] [URS-008] [URS-032] [URS-033]`, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'trialkeep-crash-'));
  const crashes = new Crashes(folder);
  try {
    await crashes.run();
  } catch (error) {
    console.error(`TRIALKEEP_CRASH_SEED=${seed} failed; everything is kept in ${folder}`);
    throw error;
  }
  t.diagnostic(
    `seed ${seed}: ${JSON.stringify({ ...crashes.counts, ...crashes.model.counts, entries: crashes.entries })}`,
  );
  rmSync(folder, { recursive: true });
});
