// @ts-nocheck
function stryNS_9fa48() {
  var g = typeof globalThis === 'object' && globalThis && globalThis.Math === Math && globalThis || new Function("return this")();
  var ns = g.__stryker__ || (g.__stryker__ = {});
  if (ns.activeMutant === undefined && g.process && g.process.env && g.process.env.__STRYKER_ACTIVE_MUTANT__) {
    ns.activeMutant = g.process.env.__STRYKER_ACTIVE_MUTANT__;
  }
  function retrieveNS() {
    return ns;
  }
  stryNS_9fa48 = retrieveNS;
  return retrieveNS();
}
stryNS_9fa48();
function stryCov_9fa48() {
  var ns = stryNS_9fa48();
  var cov = ns.mutantCoverage || (ns.mutantCoverage = {
    static: {},
    perTest: {}
  });
  function cover() {
    var c = cov.static;
    if (ns.currentTestId) {
      c = cov.perTest[ns.currentTestId] = cov.perTest[ns.currentTestId] || {};
    }
    var a = arguments;
    for (var i = 0; i < a.length; i++) {
      c[a[i]] = (c[a[i]] || 0) + 1;
    }
  }
  stryCov_9fa48 = cover;
  cover.apply(null, arguments);
}
function stryMutAct_9fa48(id) {
  var ns = stryNS_9fa48();
  function isActive(id) {
    if (ns.activeMutant === id) {
      if (ns.hitCount !== void 0 && ++ns.hitCount > ns.hitLimit) {
        throw new Error('Stryker: Hit count limit reached (' + ns.hitCount + ')');
      }
      return true;
    }
    return false;
  }
  stryMutAct_9fa48 = isActive;
  return isActive(id);
}
import type { Inventory, ServerContainer } from "./inventory.ts";
import type { State } from "./state.ts";

/** What an update is to lead to. */
export interface Wanted {
  /** The bot's commit. */
  commit: string;
  /** Docker's name of the database's volume. */
  volume: string;
  /** The host key of the server in the configuration. */
  hostKey: string;
  /** Whether Pulumi compares everything on the server first; else only missing, extra and stopped containers count. */
  refresh: boolean;
}

/** What an earlier plan of the same update has done to the state. */
export interface Repaired {
  /** Whether the state showed an update that did not finish: it may have made containers that the state does not know. */
  interrupted: boolean;
}

/** One thing to do before the update. */
export type Step = /** Pulumi forgets everything on the server, and touches no server. */
{
  action: "forget server";
}
/** Pulumi brings its state in line with the server. */ | {
  action: "refresh";
  because: string[];
}
/** A data volume may leave the stack; it stays on the server. */ | {
  action: "unprotect";
  urn: string;
  resource: string;
}
/** The proxy holds requests. */ | {
  action: "hold requests";
} | {
  action: "remove";
  container: ServerContainer;
};

/** A plan: why there can be no update, or steps and what follows them. */
export type Plan = {
  refusal: string;
} | {
  steps: Step[];
  then: {
    update: {
      flags: string[];
    };
  } | {
    planAgain: Repaired;
  };
};

/**
 * Decides how to get from what the state says and what the server has to what is wanted. Pulumi alone fails where an
 * update was killed or a container was removed by hand.
 *
 * A plan that changes the state ends there, and the next one starts from the new state. That happens once at most:
 * with `repaired`, a state that still differs is refused.
 */
export function plan({
  state,
  inventory,
  wanted,
  repaired
}: {
  state: State;
  inventory: Inventory;
  wanted: Wanted;
  repaired?: Repaired;
}): Plan {
  if (stryMutAct_9fa48("0")) {
    {}
  } else {
    stryCov_9fa48("0");
    const {
      pending,
      containers
    } = state;
    const gone = stryMutAct_9fa48("1") ? containers : (stryCov_9fa48("1"), containers.filter(stryMutAct_9fa48("2") ? () => undefined : (stryCov_9fa48("2"), ({
      id
    }) => stryMutAct_9fa48("3") ? inventory.containers.some(present => present.id === id) : (stryCov_9fa48("3"), !(stryMutAct_9fa48("4") ? inventory.containers.every(present => present.id === id) : (stryCov_9fa48("4"), inventory.containers.some(stryMutAct_9fa48("5") ? () => undefined : (stryCov_9fa48("5"), present => stryMutAct_9fa48("8") ? present.id !== id : stryMutAct_9fa48("7") ? false : stryMutAct_9fa48("6") ? true : (stryCov_9fa48("6", "7", "8"), present.id === id)))))))));
    const isKnown = stryMutAct_9fa48("9") ? () => undefined : (stryCov_9fa48("9"), (() => {
      const isKnown = ({
        id
      }: ServerContainer) => stryMutAct_9fa48("10") ? containers.every(known => known.id === id) : (stryCov_9fa48("10"), containers.some(stryMutAct_9fa48("11") ? () => undefined : (stryCov_9fa48("11"), known => stryMutAct_9fa48("14") ? known.id !== id : stryMutAct_9fa48("13") ? false : stryMutAct_9fa48("12") ? true : (stryCov_9fa48("12", "13", "14"), known.id === id))));
      return isKnown;
    })());
    const leftOver = stryMutAct_9fa48("15") ? inventory.containers : (stryCov_9fa48("15"), inventory.containers.filter(stryMutAct_9fa48("16") ? () => undefined : (stryCov_9fa48("16"), container => stryMutAct_9fa48("17") ? isKnown(container) : (stryCov_9fa48("17"), !isKnown(container)))));
    const stale = stryMutAct_9fa48("18") ? [] : (stryCov_9fa48("18"), [...pending.map(stryMutAct_9fa48("19") ? () => undefined : (stryCov_9fa48("19"), ({
      operation,
      resource
    }) => stryMutAct_9fa48("20") ? `` : (stryCov_9fa48("20"), `${operation} ${resource} was begun and not finished`))), ...gone.map(stryMutAct_9fa48("21") ? () => undefined : (stryCov_9fa48("21"), ({
      resource
    }) => stryMutAct_9fa48("22") ? `` : (stryCov_9fa48("22"), `${resource} is gone from the server`)))]);
    if (stryMutAct_9fa48("25") ? repaired !== undefined || stale.length > 0 : stryMutAct_9fa48("24") ? false : stryMutAct_9fa48("23") ? true : (stryCov_9fa48("23", "24", "25"), (stryMutAct_9fa48("27") ? repaired === undefined : stryMutAct_9fa48("26") ? true : (stryCov_9fa48("26", "27"), repaired !== undefined)) && (stryMutAct_9fa48("30") ? stale.length <= 0 : stryMutAct_9fa48("29") ? stale.length >= 0 : stryMutAct_9fa48("28") ? true : (stryCov_9fa48("28", "29", "30"), stale.length > 0)))) {
      if (stryMutAct_9fa48("31")) {
        {}
      } else {
        stryCov_9fa48("31");
        return stryMutAct_9fa48("32") ? {} : (stryCov_9fa48("32"), {
          refusal: stryMutAct_9fa48("33") ? `` : (stryCov_9fa48("33"), `Pulumi's state and the server still differ after a refresh: ${stale.join(stryMutAct_9fa48("34") ? "" : (stryCov_9fa48("34"), "; "))}. Something else is changing the server or the stack; wait for it, then try again.`)
        });
      }
    }
    if (stryMutAct_9fa48("37") ? gone.length > 0 && gone.length === containers.length || isElsewhere(state, wanted) : stryMutAct_9fa48("36") ? false : stryMutAct_9fa48("35") ? true : (stryCov_9fa48("35", "36", "37"), (stryMutAct_9fa48("39") ? gone.length > 0 || gone.length === containers.length : stryMutAct_9fa48("38") ? true : (stryCov_9fa48("38", "39"), (stryMutAct_9fa48("42") ? gone.length <= 0 : stryMutAct_9fa48("41") ? gone.length >= 0 : stryMutAct_9fa48("40") ? true : (stryCov_9fa48("40", "41", "42"), gone.length > 0)) && (stryMutAct_9fa48("44") ? gone.length !== containers.length : stryMutAct_9fa48("43") ? true : (stryCov_9fa48("43", "44"), gone.length === containers.length)))) && isElsewhere(state, wanted))) {
      if (stryMutAct_9fa48("45")) {
        {}
      } else {
        stryCov_9fa48("45");
        return stryMutAct_9fa48("46") ? {} : (stryCov_9fa48("46"), {
          steps: stryMutAct_9fa48("47") ? [] : (stryCov_9fa48("47"), [stryMutAct_9fa48("48") ? {} : (stryCov_9fa48("48"), {
            action: stryMutAct_9fa48("49") ? "" : (stryCov_9fa48("49"), "forget server")
          })]),
          then: stryMutAct_9fa48("50") ? {} : (stryCov_9fa48("50"), {
            planAgain: stryMutAct_9fa48("51") ? {} : (stryCov_9fa48("51"), {
              interrupted: stryMutAct_9fa48("52") ? true : (stryCov_9fa48("52"), false)
            })
          })
        });
      }
    }
    // A stack that has no container yet cannot have lost track of one.
    const untracked = (stryMutAct_9fa48("56") ? containers.length <= 0 : stryMutAct_9fa48("55") ? containers.length >= 0 : stryMutAct_9fa48("54") ? false : stryMutAct_9fa48("53") ? true : (stryCov_9fa48("53", "54", "55", "56"), containers.length > 0)) ? leftOver : stryMutAct_9fa48("57") ? ["Stryker was here"] : (stryCov_9fa48("57"), []);
    const because = stryMutAct_9fa48("58") ? [] : (stryCov_9fa48("58"), [...stale, ...untracked.map(stryMutAct_9fa48("59") ? () => undefined : (stryCov_9fa48("59"), ({
      name
    }) => stryMutAct_9fa48("60") ? `` : (stryCov_9fa48("60"), `the container ${name} is left over`)))]);
    if (stryMutAct_9fa48("63") ? repaired === undefined || because.length > 0 : stryMutAct_9fa48("62") ? false : stryMutAct_9fa48("61") ? true : (stryCov_9fa48("61", "62", "63"), (stryMutAct_9fa48("65") ? repaired !== undefined : stryMutAct_9fa48("64") ? true : (stryCov_9fa48("64", "65"), repaired === undefined)) && (stryMutAct_9fa48("68") ? because.length <= 0 : stryMutAct_9fa48("67") ? because.length >= 0 : stryMutAct_9fa48("66") ? true : (stryCov_9fa48("66", "67", "68"), because.length > 0)))) {
      if (stryMutAct_9fa48("69")) {
        {}
      } else {
        stryCov_9fa48("69");
        return stryMutAct_9fa48("70") ? {} : (stryCov_9fa48("70"), {
          steps: stryMutAct_9fa48("71") ? [] : (stryCov_9fa48("71"), [stryMutAct_9fa48("72") ? {} : (stryCov_9fa48("72"), {
            action: stryMutAct_9fa48("73") ? "" : (stryCov_9fa48("73"), "refresh"),
            because
          })]),
          then: stryMutAct_9fa48("74") ? {} : (stryCov_9fa48("74"), {
            planAgain: stryMutAct_9fa48("75") ? {} : (stryCov_9fa48("75"), {
              interrupted: stryMutAct_9fa48("79") ? pending.length <= 0 : stryMutAct_9fa48("78") ? pending.length >= 0 : stryMutAct_9fa48("77") ? false : stryMutAct_9fa48("76") ? true : (stryCov_9fa48("76", "77", "78", "79"), pending.length > 0)
            })
          })
        });
      }
    }

    // The bot carries its commit. Another container is the stack's own only if an unfinished update was making it.
    const stranger = leftOver.find(stryMutAct_9fa48("80") ? () => undefined : (stryCov_9fa48("80"), ({
      commit
    }) => stryMutAct_9fa48("83") ? commit === undefined || !repaired?.interrupted : stryMutAct_9fa48("82") ? false : stryMutAct_9fa48("81") ? true : (stryCov_9fa48("81", "82", "83"), (stryMutAct_9fa48("85") ? commit !== undefined : stryMutAct_9fa48("84") ? true : (stryCov_9fa48("84", "85"), commit === undefined)) && (stryMutAct_9fa48("86") ? repaired?.interrupted : (stryCov_9fa48("86"), !(stryMutAct_9fa48("87") ? repaired.interrupted : (stryCov_9fa48("87"), repaired?.interrupted)))))));
    if (stryMutAct_9fa48("90") ? stranger === undefined : stryMutAct_9fa48("89") ? false : stryMutAct_9fa48("88") ? true : (stryCov_9fa48("88", "89", "90"), stranger !== undefined)) {
      if (stryMutAct_9fa48("91")) {
        {}
      } else {
        stryCov_9fa48("91");
        return stryMutAct_9fa48("92") ? {} : (stryCov_9fa48("92"), {
          refusal: stryMutAct_9fa48("93") ? `` : (stryCov_9fa48("93"), `The server has a container ${stranger.name} that this stack did not make; remove or rename it there, then deploy again.`)
        });
      }
    }
    // What is left over may be serving: requests wait for the container that the update makes in its place.
    const hold: Step[] = (stryMutAct_9fa48("97") ? leftOver.length <= 0 : stryMutAct_9fa48("96") ? leftOver.length >= 0 : stryMutAct_9fa48("95") ? false : stryMutAct_9fa48("94") ? true : (stryCov_9fa48("94", "95", "96", "97"), leftOver.length > 0)) ? stryMutAct_9fa48("98") ? [] : (stryCov_9fa48("98"), [stryMutAct_9fa48("99") ? {} : (stryCov_9fa48("99"), {
      action: stryMutAct_9fa48("100") ? "" : (stryCov_9fa48("100"), "hold requests")
    })]) : stryMutAct_9fa48("101") ? ["Stryker was here"] : (stryCov_9fa48("101"), []);
    const removals = leftOver.map(stryMutAct_9fa48("102") ? () => undefined : (stryCov_9fa48("102"), (container): Step => stryMutAct_9fa48("103") ? {} : (stryCov_9fa48("103"), {
      action: stryMutAct_9fa48("104") ? "" : (stryCov_9fa48("104"), "remove"),
      container
    })));
    // Only Pulumi's own comparison notices that a container has stopped.
    const isStopped = stryMutAct_9fa48("105") ? inventory.containers.every(container => isKnown(container) && container.status !== "running") : (stryCov_9fa48("105"), inventory.containers.some(stryMutAct_9fa48("106") ? () => undefined : (stryCov_9fa48("106"), container => stryMutAct_9fa48("109") ? isKnown(container) || container.status !== "running" : stryMutAct_9fa48("108") ? false : stryMutAct_9fa48("107") ? true : (stryCov_9fa48("107", "108", "109"), isKnown(container) && (stryMutAct_9fa48("111") ? container.status === "running" : stryMutAct_9fa48("110") ? true : (stryCov_9fa48("110", "111"), container.status !== (stryMutAct_9fa48("112") ? "" : (stryCov_9fa48("112"), "running"))))))));
    // Pulumi believes an image to be there that was removed on the server.
    const {
      image
    } = state;
    const lost = (stryMutAct_9fa48("115") ? image?.commit === wanted.commit || !inventory.hasImage : stryMutAct_9fa48("114") ? false : stryMutAct_9fa48("113") ? true : (stryCov_9fa48("113", "114", "115"), (stryMutAct_9fa48("117") ? image?.commit !== wanted.commit : stryMutAct_9fa48("116") ? true : (stryCov_9fa48("116", "117"), (stryMutAct_9fa48("118") ? image.commit : (stryCov_9fa48("118"), image?.commit)) === wanted.commit)) && (stryMutAct_9fa48("119") ? inventory.hasImage : (stryCov_9fa48("119"), !inventory.hasImage)))) ? image : undefined;
    const flags = stryMutAct_9fa48("120") ? [] : (stryCov_9fa48("120"), [...((stryMutAct_9fa48("123") ? wanted.refresh && isStopped : stryMutAct_9fa48("122") ? false : stryMutAct_9fa48("121") ? true : (stryCov_9fa48("121", "122", "123"), wanted.refresh || isStopped)) ? stryMutAct_9fa48("124") ? [] : (stryCov_9fa48("124"), [stryMutAct_9fa48("125") ? "" : (stryCov_9fa48("125"), "--refresh")]) : stryMutAct_9fa48("126") ? ["Stryker was here"] : (stryCov_9fa48("126"), [])), ...((stryMutAct_9fa48("129") ? lost !== undefined : stryMutAct_9fa48("128") ? false : stryMutAct_9fa48("127") ? true : (stryCov_9fa48("127", "128", "129"), lost === undefined)) ? stryMutAct_9fa48("130") ? ["Stryker was here"] : (stryCov_9fa48("130"), []) : stryMutAct_9fa48("131") ? [] : (stryCov_9fa48("131"), [stryMutAct_9fa48("132") ? "" : (stryCov_9fa48("132"), "--replace"), lost.urn]))]);
    return stryMutAct_9fa48("133") ? {} : (stryCov_9fa48("133"), {
      steps: stryMutAct_9fa48("134") ? [] : (stryCov_9fa48("134"), [...unprotectVolumes(state, wanted), ...hold, ...removals]),
      then: stryMutAct_9fa48("135") ? {} : (stryCov_9fa48("135"), {
        update: stryMutAct_9fa48("136") ? {} : (stryCov_9fa48("136"), {
          flags
        })
      })
    });
  }
}

/** Data volumes other than the wanted one leave the stack, whose protection would refuse any change of them. */
export function unprotectVolumes({
  volumes
}: State, wanted: Pick<Wanted, "volume">): Step[] {
  if (stryMutAct_9fa48("137")) {
    {}
  } else {
    stryCov_9fa48("137");
    return stryMutAct_9fa48("138") ? volumes.map(({
      urn,
      resource
    }) => ({
      action: "unprotect",
      urn,
      resource
    })) : (stryCov_9fa48("138"), volumes.filter(stryMutAct_9fa48("139") ? () => undefined : (stryCov_9fa48("139"), ({
      volume,
      isProtected
    }) => stryMutAct_9fa48("142") ? isProtected || volume !== wanted.volume : stryMutAct_9fa48("141") ? false : stryMutAct_9fa48("140") ? true : (stryCov_9fa48("140", "141", "142"), isProtected && (stryMutAct_9fa48("144") ? volume === wanted.volume : stryMutAct_9fa48("143") ? true : (stryCov_9fa48("143", "144"), volume !== wanted.volume))))).map(stryMutAct_9fa48("145") ? () => undefined : (stryCov_9fa48("145"), ({
      urn,
      resource
    }) => stryMutAct_9fa48("146") ? {} : (stryCov_9fa48("146"), {
      action: stryMutAct_9fa48("147") ? "" : (stryCov_9fa48("147"), "unprotect"),
      urn,
      resource
    }))));
  }
}

/** Whether the state is known to describe another server than the configured one. */
const isElsewhere = stryMutAct_9fa48("148") ? () => undefined : (stryCov_9fa48("148"), (() => {
  const isElsewhere = ({
    hostKey
  }: State, wanted: Wanted) => stryMutAct_9fa48("151") ? hostKey !== undefined || hostKey !== wanted.hostKey : stryMutAct_9fa48("150") ? false : stryMutAct_9fa48("149") ? true : (stryCov_9fa48("149", "150", "151"), (stryMutAct_9fa48("153") ? hostKey === undefined : stryMutAct_9fa48("152") ? true : (stryCov_9fa48("152", "153"), hostKey !== undefined)) && (stryMutAct_9fa48("155") ? hostKey === wanted.hostKey : stryMutAct_9fa48("154") ? true : (stryCov_9fa48("154", "155"), hostKey !== wanted.hostKey)));
  return isElsewhere;
})());