/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import { ed25519 } from '@noble/curves/ed25519.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { ml_dsa44 } from '@noble/post-quantum/ml-dsa.js';
import { LedgerError, parsePolicy, trustOf } from '@trialkeep/ledger';
import type { SignaturePrimitives, Trust } from '@trialkeep/ledger';
import { checkEvidence, evidenceFindingTexts, maxFileBytes, utc } from '../src/index.ts';
import type { Block, EvidenceResult } from '../src/index.ts';

/** Noble's functions throw on lengths that do not fit; verifiers answer false. */
const primitives: SignaturePrimitives = {
  ed25519: (key, message, signature) =>
    holds(() => ed25519.verify(signature, message, key, { zip215: false })),
  mlDsa44: (key, message, signature) => holds(() => ml_dsa44.verify(signature, message, key)),
};

function holds(check: () => boolean): boolean {
  try {
    return check();
  } catch {
    return false;
  }
}

function byId<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`The page has no ${id}.`);
  return found;
}

const verdicts = {
  verified: 'Verified: the ledger holds this content, and the witnesses of the policy saw the ledger.',
  consistent: 'Consistent: the ledger holds this content. That the ledger has a single history is unproven.',
  failed: 'Failed: this document does not hold. Do not rely on it.',
} as const;

/** An element with text, and nothing that could be markup. */
function element(tag: string, text = '', className = ''): HTMLElement {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className !== '') made.className = className;
  return made;
}

async function readTrust(): Promise<Trust> {
  const keys = byId('keys', HTMLTextAreaElement)
    .value.split(/\s+/)
    .filter((key) => key !== '');
  const policyFile = byId('policy', HTMLInputElement).files?.[0];
  const policyText = byId('policy-text', HTMLTextAreaElement).value;
  const bytes =
    policyFile === undefined
      ? new TextEncoder().encode(policyText)
      : new Uint8Array(await policyFile.arrayBuffer());
  const policy = bytes.length === 0 ? undefined : parsePolicy(sha256, bytes);
  return trustOf(sha256, primitives, { verifierKeys: keys, ...(policy !== undefined && { policy }) });
}

async function verify(): Promise<void> {
  const file = byId('document', HTMLInputElement).files?.[0];
  if (file === undefined) return say('Choose the PDF file first.');
  if (file.size > maxFileBytes) return say('The file is larger than an evidence document can be.');
  say('Verifying …');
  try {
    const trust = await readTrust();
    if (trust.logs.length === 0) return say('Give the verifier key of the log, or a policy that names it.');
    // Lets the page show that it has begun.
    await new Promise((resolve) => setTimeout(resolve, 20));
    show(await checkEvidence(new Uint8Array(await file.arrayBuffer()), { sha256, trust }));
  } catch (error) {
    if (!(error instanceof LedgerError)) throw error;
    say(`${error.message} ${error.fix}`);
  }
}

function say(text: string): void {
  byId('result', HTMLElement).replaceChildren(element('p', text));
}

function show({ verdict, findings, overview, proof }: EvidenceResult): void {
  const result = byId('result', HTMLElement);
  const heading = element('h2', verdicts[verdict], `verdict ${verdict}`);
  heading.tabIndex = -1;
  result.replaceChildren(heading);
  if (findings.length > 0) {
    const list = element('ul', '', 'findings');
    for (const { code, severity, sentence } of findings) {
      const item = element('li');
      item.append(element('strong', severity === 'failure' ? 'Failure: ' : 'Note: '), `${sentence} `);
      item.append(element('span', evidenceFindingTexts[code].fix), element('code', ` ${code}`));
      list.append(item);
    }
    result.append(list);
  }
  if (proof !== undefined) {
    const names = proof.signedBy.map(({ name }) => name).join(', ');
    const witnesses = proof.cosignatures.map(({ witness, time }) => `${witness} (${utc(time * 1000)})`);
    const lines = [`Signed by the log: ${names}`];
    if (witnesses.length > 0) lines.push(`Cosigned by: ${witnesses.join(', ')}`);
    result.append(...lines.map((line) => element('p', line)));
  }
  if (overview !== undefined) {
    const article = element('article');
    article.append(element('h2', overview.document.title), ...overview.blocks.map(blockElement));
    if (verdict === 'failed')
      article.prepend(element('p', 'What follows is what the file says; it is not proven.', 'unproven'));
    result.append(article);
  }
  heading.focus();
}

function blockElement(block: Block): HTMLElement {
  if (block.type === 'heading') return element('h3', block.text);
  if (block.type === 'paragraph') return element('p', block.text);
  if (block.type === 'facts') {
    const list = element('dl');
    for (const { name, value, mono } of block.facts) {
      list.append(element('dt', name), element('dd', value, mono === true ? 'mono' : ''));
    }
    return list;
  }
  // A wide table scrolls by itself, and by keyboard.
  const frame = element('div', '', 'scroll');
  frame.tabIndex = 0;
  frame.setAttribute('role', 'region');
  frame.setAttribute('aria-label', `Table: ${block.columns.map(({ title }) => title).join(', ')}`);
  const table = element('table');
  const head = element('tr');
  for (const { title } of block.columns) {
    const cell = element('th', title);
    cell.setAttribute('scope', 'col');
    head.append(cell);
  }
  const rows = block.rows.map((row) => {
    const line = element('tr');
    line.append(...row.map((text, i) => element('td', text, block.columns[i]?.mono === true ? 'mono' : '')));
    return line;
  });
  const [thead, tbody] = [element('thead'), element('tbody')];
  thead.append(head);
  tbody.append(...rows);
  table.append(thead, tbody);
  frame.append(table);
  return frame;
}

byId('form', HTMLFormElement).addEventListener('submit', (event) => {
  event.preventDefault();
  verify().catch((error: unknown) => say(`The document could not be verified: ${String(error)}`));
});
