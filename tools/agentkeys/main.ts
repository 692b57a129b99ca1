#!/usr/bin/env node
// agentkeys: credentials for agents. Loads the table of commands and nothing else: each command is loaded when called.

import { commandLine } from './command-line.js'
import { COMMANDS } from './command-table.js'

process.exitCode = await commandLine(process.argv.slice(2), COMMANDS)
