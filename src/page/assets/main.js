/** The page: one stream, and what shows it. @module */
import { Announcer } from './announce.js';
import { Charts } from './charts.js';
import { Live } from './live.js';
import { Rates } from './rates.js';
import { Regions } from './regions.js';
import { Holds, Lanes, Leases } from './tables.js';
import { Tiles } from './tiles.js';

const at = (id) => document.getElementById(id);

const tiles = new Tiles(at('tiles'));
const regions = new Regions(at('regions'), at('regions-more'));
const charts = new Charts({ rates: at('rates'), ratesKey: at('rates-key'), held: at('held'), heldKey: at('held-key') });
const holds = new Holds(at('holds'));
const lanes = new Lanes(at('lanes'));
const leases = new Leases(at('leases'));
const announcer = new Announcer(at('announcement'));
const rates = new Rates();
let latestRates;

const states = {
  live: 'Live',
  lost: 'Not connected; trying again',
  locked: 'Locked',
  paused: 'Paused',
};

function showState(state) {
  at('status').dataset.state = state;
  const text = states[state] ?? state;
  if (at('status-text').textContent !== text) at('status-text').textContent = text;
}

// A link can't carry a token: its address would answer 401.
function showGuardedLinks(shown) {
  for (const link of document.querySelectorAll('[data-guarded]')) link.hidden = !shown;
}

const live = new Live({
  snapshot(snapshot) {
    at('token-form').hidden = true;
    showGuardedLinks(!live.hasToken);
    latestRates = rates.next(snapshot) ?? latestRates;
    tiles.show(snapshot, latestRates);
    regions.show(snapshot.regions);
    charts.show(snapshot, latestRates);
    holds.show(snapshot.holds);
    lanes.show(snapshot.threads, latestRates);
    leases.show(snapshot.leases);
    announcer.show(snapshot);
  },
  state: showState,
  token(refused) {
    at('token-form').hidden = false;
    showGuardedLinks(false);
    at('token-error').textContent = refused ? 'That token is not accepted.' : '';
    at('token').focus();
  },
});

at('token-form').addEventListener('submit', (event) => {
  event.preventDefault();
  pause(false);
  live.useToken(at('token').value.trim());
  at('token').value = '';
});

let paused = false;

function pause(wanted) {
  paused = wanted;
  at('pause').setAttribute('aria-pressed', String(wanted));
}

at('pause').addEventListener('click', () => {
  pause(!paused);
  if (paused) {
    live.stop();
    showState('paused');
  } else live.start();
});

// Nobody looks: the service need not work.
document.addEventListener('visibilitychange', () => {
  if (paused) return;
  if (document.hidden) live.stop();
  else live.start();
});

live.start();
