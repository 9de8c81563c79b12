export { kyselyDatabase, sealedDialect } from './dialect.ts';
