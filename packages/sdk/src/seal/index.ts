export { openFile, sealFile } from './file.ts';
export type { OpenedFile, OpenFileOptions, SealedFile, SealFileOptions } from './file.ts';
export { openStream, sealStream } from './stream.ts';
export type { ByteSource, OpenStreamOptions, SealStreamOptions } from './stream.ts';
export { sdkErrors, SealError, TrialkeepError } from '../errors.ts';
export type { FileErrorCode, SdkErrorCode } from '../errors.ts';
export type { EncryptionContext } from '@trialkeep/crypto';
