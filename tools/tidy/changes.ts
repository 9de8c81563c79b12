import type { Finding, Source } from './source.ts';

const kinds = ['added', 'changed', 'fixed', 'removed', 'security'] as const;

/** One change that users notice, as a file of changes/ tells it. changes/README.md describes the form. */
export interface Change {
  readonly kind: (typeof kinds)[number];
  readonly requirements: readonly string[];
  /** One sentence in the user's words. */
  readonly title: string;
}

/** @throws Error that says which part of the form is missing */
export function parseChange(text: string): Change {
  const parts = /^---\nkind: (.*)\nrequirements: (.*)\n---\n\n# (.+)\n\n\S/.exec(text);
  if (parts === null) throw new Error('has not the form that changes/README.md gives');
  const [, kindText, requirementText = '', title = ''] = parts;
  const kind = kinds.find((each) => each === kindText);
  if (kind === undefined) throw new Error(`the kind is one of ${kinds.join(', ')}`);
  if (!/^URS-\d{3}(, URS-\d{3})*$/.test(requirementText)) {
    throw new Error('the requirements are ids like URS-003, separated by commas');
  }
  return { kind, requirements: requirementText.split(', '), title };
}

export function checkChange({ path, text }: Source): Finding[] {
  if (!path.startsWith('changes/') || path === 'changes/README.md') return [];
  if (!/^changes\/[a-z0-9]+(-[a-z0-9]+)*\.md$/.test(path)) {
    return [{ path, message: 'a change file is named in lower-case words: changes/rotate-keys.md' }];
  }
  try {
    parseChange(text);
    return [];
  } catch (error) {
    return [{ path, message: (error as Error).message }];
  }
}
