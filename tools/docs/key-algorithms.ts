import type { Page } from './page.ts';
import { code, heading, load, table } from './page.ts';

interface AlgorithmRow {
  readonly purposes: readonly string[];
  readonly strengthBits: number;
  readonly approved: boolean;
  readonly legacy?: true;
  readonly standard: string;
}

interface SignatureRow {
  readonly keys: readonly string[];
  readonly digest: boolean;
}

interface Usage {
  readonly kind: string;
  readonly purposes: readonly string[];
  readonly algorithms?: readonly string[];
}

const registry = 'packages/crypto/src/registry.ts';
const usages = 'packages/server/src/keys/purposes.ts';

const signatureTable = (rows: Record<string, SignatureRow>): string =>
  table(
    ['signature algorithm', 'keys', 'takes a digest'],
    Object.entries(rows).map(([name, { keys, digest }]) => [
      code(name),
      keys.map(code).join(', '),
      digest ? 'yes' : 'no',
    ]),
  );

export const keyAlgorithmsPage: Page = {
  path: 'docs/key-algorithms.md',
  render: async () => {
    const algorithms = await load<Record<string, AlgorithmRow>>(registry, 'keyAlgorithms');
    const signatures = await load<Record<string, SignatureRow>>(registry, 'signatureAlgorithms');
    const uses = await load<Record<string, Usage>>(usages, 'keyUsage');
    const rows = Object.entries(algorithms)
      .filter(([, { purposes }]) => purposes.length > 0)
      .map(([name, row]) => [
        code(name),
        row.purposes.join(' or '),
        String(row.strengthBits),
        row.standard,
        row.approved ? 'yes' : 'no; refused by the regulated profile',
        row.legacy === true ? 'only with a reason' : 'yes',
      ]);
    const operations = Object.entries(uses).map(([id, { kind, purposes, algorithms: only }]) => [
      code(id),
      purposes.join(', '),
      only === undefined ? 'all of these purposes' : only.map(code).join(', '),
      kind === 'protect' ? 'protects' : 'processes',
    ]);
    return `${heading('Key algorithms', `${registry} and ${usages}`)}
What a key of a system can be. A key has one algorithm and one purpose, for good; every other use is refused with \`key.wrong_purpose\`, and recorded.
What is not listed does not exist.

${table(['algorithm', 'purpose', 'strength, bits', 'standard', 'approved by FIPS', 'for new keys'], rows)}

## Operations

To protect needs an active key, and is done with its current version; to process works with every version. [Key states](key-states.md) says in
which states which is permitted.

${table(['operation', 'purposes', 'algorithms', 'counts as'], operations)}

## Signatures

The first that is listed for a kind of key is the one that is meant where none is named. ECDSA signatures are DER unless \`p1363\` is asked for. PSS has
a salt as long as its hash, and MGF1 with the same hash.

${signatureTable(signatures)}
`;
  },
};
