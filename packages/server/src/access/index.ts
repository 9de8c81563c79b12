export { Authenticator, grants } from './authenticate.ts';
export type { Authenticated } from './authenticate.ts';
export { createCredential, credentialImplementations } from './operations.ts';
export { listCredentials } from './store.ts';
