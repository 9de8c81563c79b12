import type { Operations, Output } from '@trialkeep/contract';

type Status = Output<Operations['instance.status']>;

const styles = `
  :root { color-scheme: light dark; }
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 44rem; margin: 3rem auto; padding: 0 1rem; }
  dt { font-weight: 600; margin-top: 0.75rem; }
  dd { margin: 0; }
`;

function escape(text: string): string {
  const entities: Record<string, string> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&#39;',
  };
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? '');
}

const states: Record<Status['state'], string> = {
  ready: 'Ready.',
  sealed: 'Sealed: the custodians have not given their shares of the root of trust yet.',
  recovery:
    'In recovery: the database is older than, or differs from, a checkpoint kept outside it. No key can be used.',
};

/** How many ledgers have a witnessing policy, and how many of them are how. */
interface WitnessingCounts {
  readonly withPolicy: number;
  readonly required: number;
  readonly withheld: number;
  readonly failing: number;
}

function witnessingText({ withPolicy, required, withheld, failing }: WitnessingCounts): string {
  if (withPolicy === 0) return 'No ledger has witnesses.';
  const held = withheld === 0 ? 'none is withheld' : `results of ${withheld} are withheld`;
  return `${withPolicy} ledgers have a policy; ${required} require it, and ${held}. Witnesses or mirrors of ${failing} fail.`;
}

/** The kind of the root of trust, and whose module holds it; versions and serial numbers are nobody's business here. */
export function rootText(root: {
  readonly kind: string;
  readonly module?: { readonly manufacturer: string; readonly model: string };
}): string {
  const { kind, module } = root;
  return module === undefined ? kind : `${kind}: ${module.manufacturer}, ${module.model}`;
}

/** The plain page at `/`, for somebody who wants to know whether the server is up. */
export function renderStatusPage(
  status: Status,
  reasons: readonly string[],
  witnessing: WitnessingCounts,
): string {
  const list = (items: readonly string[]): string =>
    `<ul>${items.map((item) => `<li>${escape(item)}</li>`).join('')}</ul>`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Trialkeep</title>
<style>${styles}</style>
</head>
<body>
<main>
<h1>Trialkeep</h1>
<p role="status">${states[status.state]}</p>
${reasons.length > 0 ? list(reasons) : ''}
<dl>
<dt>Version</dt><dd>${escape(status.version)}</dd>
<dt>Profile</dt><dd>${escape(status.profile)}</dd>
<dt>Witnesses</dt><dd>${witnessingText(witnessing)}</dd>
<dt>Root of trust</dt><dd>${escape(status.rootOfTrust)}</dd>
<dt>What this configuration cannot promise</dt><dd>${list(status.limits)}</dd>
</dl>
<p><a href="/openapi.json">OpenAPI document</a> · <a href="/v1/status">Status as JSON</a></p>
</main>
</body>
</html>
`;
}
