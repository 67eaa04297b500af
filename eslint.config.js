import neostandard from 'neostandard'

/**
 * What connections, muxers and streams of libp2p have and @libp2p/interface does not name
 */
const HIDDEN = [
  // @libp2p/utils: AbstractMessageStream, AbstractStream, AbstractMultiaddrConnection, AbstractStreamMuxer
  'readBuffer', 'writeBuffer', 'sendingData', 'onDrainPromise', 'processSendQueue', 'maxMessageSize',
  'checkReadBufferLength', 'checkWriteBufferLength', 'dispatchReadBuffer', 'dispatchEnd', 'maybeDispatchEnd',
  'onData', 'onRemoteReset', 'onRemoteCloseRead', 'onRemoteCloseWrite', 'onTransportClosed', 'onMuxerDrain', 'onMuxerNeedsDrain',
  'sendData', 'sendReset', 'sendPause', 'sendResume', 'sendClose', 'sendCloseRead', 'sendCloseWrite',
  'earlyStreams', 'onCreateStream', 'onRemoteStream',
  // @libp2p/yamux, @libp2p/mplex, @chainsafe/libp2p-quic, @libp2p/websockets
  'sendWindowCapacity', 'sendWindowUpdate', 'recvWindow', 'recvWindowCapacity', 'maxStreamWindowSize', 'sendFrame', 'getRTT',
  'handleData', 'handleWindowUpdate', 'streamId', 'maxDataSize', 'readFromStream', 'awaitInboundStreams', 'websocket',
  // libp2p: Connection
  'maConn', 'onIncomingStream', 'runMiddlewareChain'
].join('|')

/**
 * What only a stream itself should set
 */
const STATE = 'status|readStatus|writeStatus|remoteReadStatus|remoteWriteStatus|readableEnded|readBufferLength|writeBufferLength|writableNeedsDrain'

const LIBP2P = 'Stream|MessageStream|Connection|MultiaddrConnection|StreamMuxer|Upgrader|Transport'

const MESSAGE = 'Only src/compat touches what libp2p keeps to itself: one file for each thing, with the way back.'

/**
 * Somebody who reaches in needs a name, and a cast or a type that has it
 */
const reachingIn = {
  name: 'reaching-in',
  files: ['src/**/*.ts'],
  ignores: ['src/compat/**'],
  rules: {
    'no-restricted-syntax': ['error', ...[
      // by its name, or by one that begins like a private one
      `:matches(MemberExpression > Identifier.property, Property > Identifier.key, TSPropertySignature > Identifier.key, TSMethodSignature > Identifier.key)[name=/^(${HIDDEN}|_.*)$/]`,
      `Literal[value=/^(${HIDDEN}|_.*)$/]`,
      // what has a muxer of its own is not called a connection
      'MemberExpression:matches([object.name=/connection$/i], [object.type="TSAsExpression"]) > :matches(Identifier.property[name="muxer"], Literal.property[value="muxer"])',
      'VariableDeclarator:matches([init.name=/connection$/i], [init.type="TSAsExpression"]) > ObjectPattern > Property > Identifier.key[name="muxer"]',
      'TSPropertySignature[optional=true] > Identifier.key[name="muxer"]',

      // by what only the stream should do
      `AssignmentExpression > MemberExpression.left > .property[name=/^(${STATE})$/]`,
      `CallExpression[callee.name="override"] Property > .key[name=/^(${STATE})$/]`,
      'CallExpression[callee.object.name=/^(Object|Reflect)$/][callee.property.name=/^(defineProperty|defineProperties|deleteProperty|set)$/]',
      'UnaryExpression[operator="delete"]',

      // by a type that has more than @libp2p/interface
      'TSAsExpression > TSAsExpression > TSUnknownKeyword',
      'TSAsExpression > TSAnyKeyword',
      'TSAsExpression > TSTypeLiteral',
      `TSIntersectionType > TSTypeReference > [name=/^(${LIBP2P})$/]`,
      `TSInterfaceHeritage > [name=/^(${LIBP2P})$/]`,
      'ImportSpecifier > .imported[name=/^Abstract/]'
    ].map(selector => ({ selector, message: MESSAGE }))]
  }
}

/**
 * vitest has the assertions of chai, too. One style is enough, and chai's do not know
 * what `expect.objectContaining` and its like are.
 */
const assertions = {
  name: 'assertions',
  files: ['test/**/*.ts'],
  rules: {
    'no-restricted-syntax': ['error', ...[
      ':matches([object.callee.name="expect"], [object.callee.object.name="expect"][object.callee.property.name=/^(poll|soft)$/])',
      '[object.property.name=/^(not|resolves|rejects)$/]'
    ].map(selector => ({
      selector: `MemberExpression${selector}[property.name!=/^(to[A-Z].*|not|resolves|rejects)$/]`,
      message: 'Assertions are vitest\'s own: toBe, toEqual, rejects.toThrow, not those of chai.'
    }))]
  }
}

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
  reachingIn,
  assertions,
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
