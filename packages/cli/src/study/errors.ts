/** What an error of this folder says to a human: one sentence, and the fix. */
export interface StudyErrorDefinition {
  readonly message: string;
  readonly fix: string;
}

/** Every error that reading a study's folder or generating the sample study gives. Codes are stable; sentences may improve. */
export const studyErrors = {
  'study.folder_missing': {
    message: 'The folder of the study does not exist.',
    fix: 'Check the path; give the folder that holds the files of the study.',
  },
  'study.folder_not_a_folder': {
    message: 'What was named as the folder of the study is not a folder.',
    fix: 'Give the folder that holds the file, not the file itself.',
  },
  'study.folder_unreadable': {
    message: 'The folder of the study cannot be read.',
    fix: 'Give this account permission to list the folder, or run as the account that owns it.',
  },
  'study.folder_empty': {
    message: 'The folder of the study holds no file that can be read.',
    fix: 'Give a folder with files in it; symbolic links are not followed, and files without read permission are skipped.',
  },
  'study.scale_invalid': {
    message: 'The scale of the sample study is not a number from 0.01 to 100.',
    fix: 'Give 1 for about 150 MB, or another number from 0.01 to 100.',
  },
  'study.target_not_a_folder': {
    message: 'The target of the sample study is not a folder.',
    fix: 'Give a new or an empty folder.',
  },
  'study.target_foreign': {
    message: 'The target folder holds something other than the sample study, so nothing was written.',
    fix: 'Give a new or an empty folder, or move what is in this one elsewhere.',
  },
  'study.target_unwritable': {
    message:
      'The sample study cannot be written to the target folder; what is there is marked as half-written.',
    fix: 'Make the folder writable for this account, then generate again: a half-written study is made anew.',
  },
  'study.target_full': {
    message: 'There is no space left for the sample study; what is there is marked as half-written.',
    fix: 'Free about 160 MB for each unit of scale, then generate again: a half-written study is made anew.',
  },
} as const satisfies Record<string, StudyErrorDefinition>;
export type StudyErrorCode = keyof typeof studyErrors;

/** An error about a study's folder. `path` is the folder or file concerned, where there is one; `cause` the system's error. */
export class StudyError extends Error {
  override readonly name = 'StudyError';
  readonly code: StudyErrorCode;
  readonly fix: string;
  readonly path: string | undefined;

  constructor(code: StudyErrorCode, path?: string, cause?: unknown) {
    super(studyErrors[code].message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.fix = studyErrors[code].fix;
    this.path = path;
  }
}

/** The system's code of an error of `node:fs` (`ENOENT` and so on), or the empty string. */
export function systemCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}
