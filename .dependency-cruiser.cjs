// The arrows of ARCHITECTURE.md. `npm run arrows` checks them; .ci/run does too.
const only = (folder, allowed) => ({
  name: `${folder}-arrows`,
  severity: 'error',
  from: { path: `^src/${folder}/` },
  to: { path: '^src/', pathNot: [`^src/${folder}/`, ...allowed.map((path) => `^src/${path}`)] },
})
const packageOnlyIn = (name, folders) => ({
  name: `${name}-only-in-${folders.join('-')}`,
  severity: 'error',
  from: { path: '^src/', pathNot: folders.map((folder) => `^src/${folder}`) },
  to: { path: `^(node_modules/)?${name}(/|$)` },
})
module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    { name: 'no-unresolved', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'no-orphans',
      severity: 'error',
      from: { path: '^src/', orphan: true, pathNot: '^src/index\\.ts$' },
      to: {},
    },
    {
      name: 'no-dev-dependencies',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-dev'], pathNot: 'node-llama-cpp|@types' },
    },
    only('core', []),
    only('policies', ['core/']),
    only('machines', ['core/']),
    only('backends', ['core/']),
    only('executors', ['core/']),
    only('stores', ['core/']),
    only('simulation', ['core/']),
    only('probe', ['core/']),
    only('cli', [
      'core/',
      'compose\\.ts',
      'surroundings\\.ts',
      'wishes\\.ts',
      'inspection\\.ts',
      'stores\\.ts',
      'probing\\.ts',
    ]),
    packageOnlyIn('xstate', ['machines/']),
    packageOnlyIn('ollama', ['backends/']),
    packageOnlyIn('node-llama-cpp', ['backends/']),
    packageOnlyIn('undici', ['backends/']),
    packageOnlyIn('eventsource-parser', ['backends/']),
    packageOnlyIn('commander', ['cli/']),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
}
