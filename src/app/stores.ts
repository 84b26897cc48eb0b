/** Part of the composition root: the stores that the command line uses, apart from the model servers, which take longer to load. */
export { memorySessions } from '../records/stores/memory-sessions.ts'
export { sqliteStore } from '../records/stores/sqlite.ts'
