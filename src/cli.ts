#!/usr/bin/env node
// Set up before anything else is loaded: a module is loaded before the one that imports it runs.
import './command/process-setup.ts';

await import('./command/main.ts');
