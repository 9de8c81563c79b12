/** The page that verifies evidence documents, in a real browser: driven through its DevTools protocol, without a network. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { accessSync, constants, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { sampleAnswer, useEntry, verifierKey } from './fixture.test.ts';
import { makeEvidence } from './make.ts';

const page = fileURLToPath(new URL('../page/verify.html', import.meta.url));
const browser = ['chromium', 'chromium-browser', 'google-chrome'].flatMap(onPath)[0];
const skip = browser === undefined ? 'no Chromium on the PATH: apt-get install chromium' : false;
if (skip !== false && process.env.TRIALKEEP_TEST_REQUIRE_ALL === '1') throw new Error(skip);

const folder = mkdtempSync(join(tmpdir(), 'trialkeep-page-'));
const running: ChildProcess[] = [];
after(async () => {
  for (const child of running) {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
});

function onPath(name: string): string[] {
  const places = (process.env.PATH ?? '').split(delimiter).map((place) => join(place, name));
  return places.filter((place) => {
    try {
      accessSync(place, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** One tab with the page in it. */
class Tab {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (answer: { result?: unknown; error?: unknown }) => void>();
  #next = 1;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener('message', ({ data }) => {
      const answer = JSON.parse(String(data)) as { id?: number; result?: unknown; error?: unknown };
      if (answer.id !== undefined) this.#waiting.get(answer.id)?.(answer);
    });
  }

  static async open(): Promise<Tab> {
    const flags = ['--headless=new', '--no-sandbox', '--disable-gpu', '--remote-debugging-port=0'];
    const child = spawn(browser ?? '', [...flags, `--user-data-dir=${folder}`, pathToFileURL(page).href], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    running.push(child);
    const port = await new Promise<string>((resolve, reject) => {
      let said = '';
      child.stderr.on('data', (chunk: Buffer) => {
        said += chunk.toString('utf8');
        const match = /ws:\/\/127\.0\.0\.1:(\d+)\//.exec(said);
        if (match?.[1] !== undefined) resolve(match[1]);
      });
      child.once('exit', () => reject(new Error(`The browser ended: ${said.slice(-500)}`)));
    });
    for (;;) {
      const answer = await fetch(`http://127.0.0.1:${port}/json/list`);
      const tabs = (await answer.json()) as { type: string; url: string; webSocketDebuggerUrl: string }[];
      const tab = tabs.find(({ type, url }) => type === 'page' && url.startsWith('file:'));
      if (tab === undefined) continue;
      const socket = new WebSocket(tab.webSocketDebuggerUrl);
      await new Promise((resolve) => socket.addEventListener('open', resolve, { once: true }));
      return new Tab(socket);
    }
  }

  async send(method: string, params: object = {}): Promise<Record<string, unknown>> {
    const id = this.#next++;
    const answer = await new Promise<{ result?: unknown; error?: unknown }>((resolve) => {
      this.#waiting.set(id, resolve);
      this.#socket.send(JSON.stringify({ id, method, params }));
    });
    assert.equal(answer.error, undefined);
    return answer.result as Record<string, unknown>;
  }

  async evaluate(expression: string): Promise<unknown> {
    const { result } = await this.send('Runtime.evaluate', {
      expression,
      awaitPromise: true,
      returnByValue: true,
    });
    return (result as { value: unknown }).value;
  }

  /** What a person does: chooses a file, pastes a key, presses the button, and reads the verdict. */
  async verify(pdf: Uint8Array, key: string): Promise<string> {
    const path = join(folder, 'document.pdf');
    writeFileSync(path, pdf);
    const { root } = (await this.send('DOM.getDocument')) as { root: { nodeId: number } };
    const { nodeId } = await this.send('DOM.querySelector', { nodeId: root.nodeId, selector: '#document' });
    await this.send('DOM.setFileInputFiles', { files: [path], nodeId });
    return String(
      await this.evaluate(`new Promise((resolve) => {
        const result = document.getElementById('result');
        result.replaceChildren();
        document.getElementById('keys').value = ${JSON.stringify(key)};
        new MutationObserver(() => {
          const text = result.innerText;
          if (text !== '' && !text.startsWith('Verifying')) resolve(text);
        }).observe(result, { childList: true });
        document.getElementById('form').requestSubmit();
      })`),
    );
  }
}

let opened: Promise<Tab> | undefined;

test(
  'the page verifies a document, shows its content, and notices a changed byte [URS-084]',
  { skip, timeout: 120_000 },
  async () => {
    const tab = await (opened ??= Tab.open());
    const { files } = await sampleAnswer([useEntry(1), useEntry(2)], undefined, {
      title: '治験 <b>記録</b>',
    });
    const pdf = await makeEvidence(files);

    const good = await tab.verify(pdf, verifierKey);
    assert.match(good, /^Consistent: the ledger holds this content/);
    assert.match(good, /治験 <b>記録<\/b>/);
    assert.match(good, /evidence\.pages_unchecked/);

    const altered = Uint8Array.from(pdf);
    const at = Buffer.from(pdf).indexOf('"monitoring"') + 1;
    altered[at] = (altered[at] ?? 0) ^ 1;
    assert.match(await tab.verify(altered, verifierKey), /^Failed/);

    const stranger = await tab.verify(pdf, verifierKey.replace(/^[^+]+/, 'other.example/log'));
    assert.match(stranger, /verifier key/);
  },
);

test(
  'the page can be used by keyboard and by those who do not see it, and asks nobody [URS-084]',
  { skip, timeout: 120_000 },
  async () => {
    const tab = await (opened ??= Tab.open());
    const unlabelled = await tab.evaluate(
      `[...document.querySelectorAll('input, textarea, button')].filter((each) => each.tagName !== 'BUTTON' && each.labels.length === 0).length`,
    );
    const live = await tab.evaluate(`document.getElementById('result').getAttribute('aria-live')`);
    const language = await tab.evaluate('document.documentElement.lang');
    const asked = await tab.evaluate(`performance.getEntriesByType('resource').length`);
    const refused = await tab.evaluate(`fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'refused')`);
    assert.deepEqual([unlabelled, live, language, asked, refused], [0, 'polite', 'en', 0, 'refused']);
  },
);
