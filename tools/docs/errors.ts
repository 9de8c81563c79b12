import type { Page } from './page.ts';
import { code, heading, load, table } from './page.ts';

interface ErrorText {
  readonly message: string;
  readonly fix: string;
  /** Of the contract's errors: the HTTP status. */
  readonly status?: number;
  /** Of the verifier's findings. */
  readonly severity?: string;
}

interface Section {
  readonly title: string;
  readonly file: string;
  readonly name: string;
  readonly note: string;
}

/** Every table of error codes; docs/errors.md and its test walk them. */
const sections: readonly Section[] = [
  {
    title: 'Answers of the server',
    file: 'packages/contract/src/errors.ts',
    name: 'errors',
    note: 'What the API answers, with the HTTP status. SDK and command line pass these on unchanged.',
  },
  {
    title: 'Starting and maintaining the server',
    file: 'packages/server/src/platform/errors.ts',
    name: 'startupErrors',
    note: 'What keeps the server, or a command on its data directory, from starting.',
  },
  {
    title: 'Command line',
    file: 'packages/cli/src/errors.ts',
    name: 'cliErrors',
    note: 'What arises in the command itself.',
  },
  {
    title: 'Studies and the sample study',
    file: 'packages/cli/src/study/errors.ts',
    name: 'studyErrors',
    note: 'What reading the folder of a study, or generating the sample study, can meet.',
  },
  {
    title: 'SDK',
    file: 'packages/sdk/src/error-list.ts',
    name: 'sdkErrors',
    note: 'What arises on the side of the client: connections, files, exports.',
  },
  {
    title: 'Cryptography',
    file: 'packages/crypto/src/errors.ts',
    name: 'cryptoErrors',
    note: 'What the formats and algorithms refuse.',
  },
  {
    title: 'Ledger',
    file: 'packages/ledger/src/errors.ts',
    name: 'ledgerErrors',
    note: 'What the parsers and provers of the ledger refuse.',
  },
  {
    title: 'Witness and mirror',
    file: 'packages/witness/src/errors.ts',
    name: 'witnessErrors',
    note: 'What keeps a witness or a mirror from starting, or a command about one from being done.',
  },
  {
    title: 'Evidence documents',
    file: 'packages/evidence/src/errors.ts',
    name: 'evidenceErrors',
    note: 'What the reader of evidence documents refuses; the verifier reports it as a finding.',
  },
  {
    title: 'Findings of the ledger verifier',
    file: 'packages/ledger/src/finding.ts',
    name: 'findingTexts',
    note: 'What an offline verification reports. A failure means that the log is not what was signed; a warning does not change the verdict.',
  },
  {
    title: 'Findings about electronic signatures',
    file: 'packages/sdk/src/verify/signature-finding.ts',
    name: 'signatureFindingTexts',
    note: 'What an offline verification reports about the signatures of an export.',
  },
  {
    title: 'Findings about payloads',
    file: 'packages/sdk/src/verify/payload-finding.ts',
    name: 'payloadFindingTexts',
    note: 'What an offline verification reports about the payloads of an export.',
  },
  {
    title: 'Findings about timestamps',
    file: 'packages/sdk/src/verify/timestamp-finding.ts',
    name: 'timestampFindingTexts',
    note: 'What an offline verification reports about the timestamps of an export.',
  },
];

/** Every code with its table, in the order of the page. @throws Error where a table is missing */
export async function errorTables(): Promise<(Section & { readonly texts: Record<string, ErrorText> })[]> {
  return Promise.all(
    sections.map(async (section) => ({
      ...section,
      texts: await load<Record<string, ErrorText>>(section.file, section.name),
    })),
  );
}

export const errorsPage: Page = {
  path: 'docs/errors.md',
  render: async () => {
    const tables = await errorTables();
    const parts = tables.map(({ title, file, note, texts }) => {
      const rows = Object.entries(texts).map(([name, { status, severity, message, fix }]) => [
        code(name),
        ...[status ?? severity].filter((extra) => extra !== undefined).map(String),
        message,
        fix,
      ]);
      const [first] = Object.values(texts);
      const extra =
        first?.status === undefined ? (first?.severity === undefined ? [] : ['severity']) : ['status'];
      return `## ${title}\n\n${note} Defined in ${code(file)}.\n\n${table(['code', ...extra, 'what it says', 'what to do'], rows)}\n`;
    });
    return [
      heading('Errors', 'the error tables of the packages'),
      'Every error has a code that stays, one sentence that says what is wrong, and what to do about it. Sentences may improve; programs branch on the code.\n',
      ...parts,
    ].join('\n');
  },
};
