import neostandard from 'neostandard'

// the base of js-libp2p's own configuration, and those of its rules that are
// about mistakes rather than layout
export default [
  ...neostandard({
    ts: true,
    ignores: ['dist/**', 'docs/**', 'bench/results/**', 'test/interop/.build/**']
  }),
  {
    rules: {
      curly: 'error',
      'default-case': 'error',
      'max-depth': ['error', 4],
      'max-nested-callbacks': ['error', 4],
      'no-console': 'error',
      'no-implicit-coercion': 'error',
      'no-loop-func': 'error',
      'no-nested-ternary': 'error',
      'no-void': ['error', { allowAsStatement: true }]
    }
  },
  {
    files: ['**/*.ts'],
    languageOptions: {
      parserOptions: {
        projectService: true,
        tsconfigRootDir: import.meta.dirname
      }
    },
    rules: {
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/explicit-function-return-type': ['error', { allowExpressions: true }],
      '@typescript-eslint/method-signature-style': ['error', 'method'],
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: false }],
      '@typescript-eslint/no-unnecessary-condition': ['error', { allowConstantLoopConditions: true }],
      '@typescript-eslint/promise-function-async': 'error',
      '@typescript-eslint/return-await': ['error', 'in-try-catch'],
      '@typescript-eslint/switch-exhaustiveness-check': 'error'
    }
  }
]
