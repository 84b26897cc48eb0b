import { describe, expect, it } from 'vitest'
import { defineConfig, readConfig } from '../../src/core/config-schema.ts'

const gpu = { name: 'gpu-1', backend: 'ollama', url: 'http://127.0.0.1:11434' }

describe('a configuration', () => {
  it('has defaults for slots, pools, nodes and models', () => {
    expect(defineConfig({})).toEqual({ nodes: [], models: {} })
    expect(
      defineConfig({
        nodes: [
          gpu,
          { name: 'here', backend: 'llama-cpp', model: 'm.gguf', slots: 2, pool: 'cpu', threads: 4 },
          { name: 's', backend: 'scripted' },
        ],
        models: { fast: 'gemma3:1b' },
        redis: 'redis://127.0.0.1:6379',
        records: '.caesura/runs.sqlite',
      }),
    ).toEqual({
      nodes: [
        { ...gpu, slots: 1, pool: 'default' },
        { name: 'here', backend: 'llama-cpp', model: 'm.gguf', slots: 2, pool: 'cpu', threads: 4 },
        { name: 's', backend: 'scripted', slots: 1, pool: 'default' },
      ],
      models: { fast: 'gemma3:1b' },
      redis: 'redis://127.0.0.1:6379',
      records: { file: '.caesura/runs.sqlite', text: false },
    })
    expect(defineConfig({ records: { text: true } }).records).toEqual({ text: true })
    expect(defineConfig({ captureContent: { logs: true } }).captureContent).toEqual({ spans: false, logs: true })
  })

  it.each([
    ['an unknown key', { node: [] }, 'CAESURA_E_CONFIG', 'node', 'node', /nodes/, 'Did you mean `nodes`?'],
    [
      'a node without a backend',
      { nodes: [{ name: 'a' }] },
      'CAESURA_E_CONFIG',
      'nodes[0].backend',
      undefined,
      /ollama, openai, llama-cpp or scripted/,
      undefined,
    ],
    [
      'an unknown backend',
      { nodes: [{ ...gpu, backend: 'olama' }] },
      'CAESURA_E_CONFIG',
      'nodes[0].backend',
      'olama',
      /ollama/,
      'Did you mean `ollama`?',
    ],
    [
      'an API key in the file',
      { nodes: [{ ...gpu, backend: 'openai', apiKey: 'sk-secret' }] },
      'CAESURA_E_CONFIG',
      'nodes[0].apiKey',
      'apiKey',
      /apiKeyEnv/,
      'Did you mean `apiKeyEnv`?',
    ],
    [
      'an API key in a URL',
      { nodes: [{ ...gpu, backend: 'openai', url: 'http://me:sk-secret@gpu-1/v1' }] },
      'CAESURA_E_CONFIG',
      'nodes[0].url',
      'http://…@gpu-1/v1',
      /apiKeyEnv/,
      undefined,
    ],
    [
      'no name of a variable',
      { nodes: [{ ...gpu, backend: 'openai', apiKeyEnv: 'sk-secret' }] },
      'CAESURA_E_CONFIG',
      'nodes[0].apiKeyEnv',
      '…',
      /name of an environment variable/,
      undefined,
    ],
    [
      'another witness',
      { nodes: [{ ...gpu, backend: 'openai', witness: 'slot' }] },
      'CAESURA_E_CONFIG',
      'nodes[0].witness',
      'slot',
      /slots/,
      'Did you mean `slots`?',
    ],
    [
      'an Ollama without its URL',
      { nodes: [{ name: 'a', backend: 'ollama' }] },
      'CAESURA_E_CONFIG',
      'nodes[0].url',
      undefined,
      /URL/,
      undefined,
    ],
    [
      'a URL of another kind',
      { nodes: [{ ...gpu, url: 'ftp://me:secret@x/' }] },
      'CAESURA_E_CONFIG',
      'nodes[0].url',
      'ftp://…@x/',
      /http or https/,
      undefined,
    ],
    [
      "another backend's key",
      { nodes: [{ ...gpu, model: 'm' }] },
      'CAESURA_E_CONFIG',
      'nodes[0].model',
      'model',
      /url/,
      'Did you mean `models`?',
    ],
    [
      'no slots',
      { nodes: [{ ...gpu, slots: 0 }] },
      'CAESURA_E_CONFIG',
      'nodes[0].slots',
      '0',
      /from 1 to 1,024/,
      undefined,
    ],
    [
      'a deadline of nothing',
      { nodes: [{ ...gpu, idleDeadline: 0 }] },
      'CAESURA_E_CONFIG',
      'nodes[0].idleDeadline',
      '0',
      /a duration above 0/,
      undefined,
    ],
    [
      'a node name twice',
      { nodes: [gpu, gpu] },
      'CAESURA_E_CONFIG',
      'nodes[1].name',
      'gpu-1',
      /no other node/,
      undefined,
    ],
    [
      'an alias without a model',
      { models: { fast: '' } },
      'CAESURA_E_ALIAS',
      'models.fast',
      '""',
      /model's name/,
      undefined,
    ],
    [
      'an alias of nothing',
      { models: { fast: null } },
      'CAESURA_E_ALIAS',
      'models.fast',
      'null',
      /model's name/,
      undefined,
    ],
    [
      'another URL than one of Redis',
      { redis: 'http://x' },
      'CAESURA_E_CONFIG',
      'redis',
      'http://x',
      /redis or rediss/,
      undefined,
    ],
    ['records of a wrong type', { records: 3 }, 'CAESURA_E_CONFIG', 'records', '3', /a path, or a mapping/, undefined],
    [
      'an unknown key of records',
      { records: { fiel: 'x' } },
      'CAESURA_E_CONFIG',
      'records.fiel',
      'fiel',
      /file or text/,
      'Did you mean `file`?',
    ],
    ['a list', [], 'CAESURA_E_CONFIG', undefined, '[]', /a mapping/, undefined],
  ])('is refused for %s', (_, value, code, path, received, expected, hint) => {
    const { errors } = readConfig(value)
    expect(errors).toHaveLength(1)
    expect(errors[0]).toMatchObject({ code, exitCode: 2 })
    expect(errors[0]!.place).toEqual({
      expected: expect.stringMatching(expected),
      ...(path && { path }),
      ...(received && { received }),
      ...(hint && { hint }),
    })
  })
})
