/** Part of the composition root: the store that the command line uses, apart from the model servers, which take longer to load. */
export { sqliteStore } from '../records/stores/sqlite.ts'
