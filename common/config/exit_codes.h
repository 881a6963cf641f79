#pragma once
// What a program's exit code means, for all programs of Tributary. Supervisors may rely on them:
// restart on 1, do not restart on 2 (systemd: RestartPreventExitStatus=2).

namespace tributary {

enum ExitCode : int {
  kExitOk = 0,          // done; or stopped cleanly by SIGTERM or SIGINT
  kExitFailure = 1,     // failed at run time: disk, port in use, locked folder; `verify` found a difference
  kExitUsage = 2,       // bad command line or configuration: starting again does not help
  kExitInterrupted = 130,  // a second SIGINT: ended at once, without a clean stop
};

}  // namespace tributary
