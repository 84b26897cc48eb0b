import { declareValuePlugin, PluginKind } from '@stryker-mutator/api/plugin'

/** Sentences for people in lists of policies: no test should hold them to their wording. What a run records as a reason is mutated. */
const sentences = new Set(['summary', 'parameterHint'])

export const strykerPlugins = [
  declareValuePlugin(PluginKind.Ignore, 'sentences', {
    shouldIgnore(path) {
      if (!path.isStringLiteral() && !path.isTemplateLiteral()) return undefined
      const { parent } = path
      return parent.type === 'ObjectProperty' && sentences.has(parent.key.name) ? 'a sentence in a list' : undefined
    },
  }),
]

/** @type {import('@stryker-mutator/api/core').PartialStrykerOptions} */
export default {
  mutate: [
    'src/policies/**/*.ts',
    'src/machines/**/*.ts',
    // Draws docs/machines/*.mmd, which a test holds to the machines; no part of a run.
    '!src/machines/diagram.ts',
    // Reads files; what a policy does is not in it.
    '!src/policies/reading/**',
  ],
  plugins: ['@stryker-mutator/vitest-runner', './stryker.config.mjs'],
  ignorers: ['sentences'],
  testRunner: 'vitest',
  vitest: { configFile: 'vitest.mutation.config.ts' },
  coverageAnalysis: 'perTest',
  // The tables of a policy and the states of a machine are built once, at import: they are mutated too, against all tests.
  ignoreStatic: false,
  concurrency: 2,
  incremental: true,
  incrementalFile: '.stryker/incremental.json',
  tempDirName: '.stryker/sandbox',
  reporters: ['clear-text', 'progress-append-only', 'json', 'html'],
  clearTextReporter: { reportTests: false, reportScoreTable: true, allowColor: false },
  jsonReporter: { fileName: '.stryker/report.json' },
  htmlReporter: { fileName: '.stryker/report.html' },
  ignorePatterns: ['dist', 'models', 'bench', '.caesura', 'test/recordings'],
  thresholds: { high: 95, low: 85, break: 85 },
  // A run in virtual time takes milliseconds; what takes this long goes round for ever.
  timeoutMS: 2000,
}
