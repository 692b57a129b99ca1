import { expect, test } from '@jest/globals'

import { readMailRouter } from './mail-router.js'

const SET = { BROKER_DATA_BUCKET: 'agentkeys-data', BROKER_MAIL_ROUTER_TOKEN_FILE: '/run/router-token' }

test('bucket and token file are enough', () => {
  expect(readMailRouter(SET)).toEqual({
    config: {
      bucket: 'agentkeys-data',
      region: 'us-east-1',
      endpoint: undefined,
      backendUrl: 'http://127.0.0.1:8090',
      tokenFile: '/run/router-token',
      pollSeconds: 2,
      shutdownGraceSeconds: 30,
      logLevel: 'info',
    },
    warnings: [],
  })
})

test('what is set is used', () => {
  const more = {
    BROKER_AWS_REGION: 'eu-central-1',
    AWS_ENDPOINT_URL_S3: 'http://127.0.0.1:9000/',
    BROKER_BACKEND_URL: 'http://sessions:8090',
    BROKER_MAIL_POLL_SECONDS: '10',
  }
  expect(readMailRouter({ ...SET, ...more })).toMatchObject({
    config: {
      region: 'eu-central-1',
      endpoint: 'http://127.0.0.1:9000',
      backendUrl: 'http://sessions:8090',
      pollSeconds: 10,
    },
    warnings: [expect.stringContaining('in clear')],
  })
})

test('every problem is named', () => {
  expect(readMailRouter({ BROKER_MAIL_POLL_SECONDS: '0' })).toEqual({
    problems: [
      expect.stringContaining('BROKER_MAIL_POLL_SECONDS'),
      expect.stringContaining('BROKER_DATA_BUCKET is not set'),
      expect.stringContaining('BROKER_MAIL_ROUTER_TOKEN_FILE is not set'),
    ],
    warnings: [],
  })
})
