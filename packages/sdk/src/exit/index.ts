export { copyExit } from './copy.ts';
export type { CopyExitOptions } from './copy.ts';
export { exitKeys } from './keys.ts';
export type { ExitManifest, ExitManifestPage } from './manifest.ts';
export { openExitPackage, readExitPackage } from './package.ts';
export type { ExitPackage, ExitReceipt, OpenPackageOptions } from './package.ts';
export { verifyExit } from './verify.ts';
export type { VerifyExitOptions, VerifyExitResult } from './verify.ts';
