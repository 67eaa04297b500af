/**
 * Which way imports go in src, those of types included: a file may import what is on
 * its own floor or below.
 */
const FLOORS = [
  ['the TLS encrypter, a package of its own', '^src/tls/'],
  ['the package', '^src/index\\.ts$'],
  ['the service', '^src/stream-opener\\.ts$'],
  ['bulk streams', '^src/bulk/(?!types\\.ts$)'],
  ['opening on a connection', '^src/(connection-opener|outbound-stream|optimistic-upgrades|optional-parts|admission|intercept|graceful-close)\\.ts$'],
  ['negotiation and limits', '^src/(negotiation|limits)/'],
  ['what every floor reports and reads', '^src/(metrics|transport-of)\\.ts$'],
  ['upstream', '^src/compat/'],
  ['options', '^src/options\\.ts$'],
  ['tools', '^src/util/'],
  ['the ground', '^src/(errors|constants|types|bulk/types)\\.ts$']
]

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true }
    },
    ...FLOORS.slice(1).map(([name, path], i) => ({
      name: `${name}: not what is above`.replaceAll(' ', '-'),
      severity: 'error',
      from: { path },
      to: { path: FLOORS.slice(0, i + 1).map(([, path]) => path) }
    })),
    {
      name: 'every-file-has-a-floor',
      severity: 'error',
      from: {},
      to: { path: '^src/', pathNot: FLOORS.map(([, path]) => path) }
    },
    {
      name: 'the-TLS-encrypter-knows-nothing-of-the-service',
      severity: 'error',
      from: { path: '^src/tls/' },
      to: { path: '^src/', pathNot: '^src/(tls|compat|util|errors\\.ts|constants\\.ts)' }
    },
    {
      name: 'only-the-TLS-encrypter-needs-Node.js',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(tls|compat/tls)/' },
      to: { path: '^src/(tls|compat/tls)/' }
    },
    {
      name: 'negotiation-and-limits-do-not-know-each-other',
      severity: 'error',
      from: { path: '^src/(negotiation|limits)/' },
      to: { path: '^src/(negotiation|limits)/', pathNot: '^src/$1/' }
    },
    {
      name: 'dials-do-not-know-what-they-are-for',
      severity: 'error',
      from: { path: '^src/bulk/dial/' },
      to: { path: '^src/bulk/(session|transfer)/' }
    },
    {
      name: 'transfers-need-nothing-but-a-stream',
      severity: 'error',
      from: { path: '^src/bulk/transfer/' },
      to: { path: '^src/bulk/', pathNot: '^src/bulk/transfer/' }
    },
    {
      name: 'sessions-leave-the-data-alone',
      severity: 'error',
      from: { path: '^src/bulk/session/' },
      to: { path: '^src/bulk/transfer/' }
    },
    {
      name: 'limits-know-nothing-of-libp2p',
      severity: 'error',
      from: { path: '^src/limits/' },
      to: { path: ['@libp2p/', '^src/compat/'] }
    },
    {
      name: 'src-knows-neither-tests-nor-bench',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|bench)/' }
    },
    {
      // what both need is in test/support
      name: 'bench-knows-no-tests',
      severity: 'error',
      from: { path: '^bench/' },
      to: { path: '^test/', pathNot: '^test/support/' }
    },
    {
      name: 'tests-do-not-know-bench',
      severity: 'error',
      from: { path: '^test/' },
      to: { path: '^bench/' }
    },
    {
      name: 'support-knows-no-tests',
      severity: 'error',
      from: { path: '^test/support/' },
      to: { path: '^test/', pathNot: '^test/support/' }
    },
    {
      name: 'nobody-imports-a-spec',
      severity: 'error',
      from: {},
      to: { path: '\\.spec\\.ts$' }
    }
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^test/interop/\\.build/' },
    enhancedResolveOptions: { extensions: ['.ts', '.js', '.json'] }
  }
}
