#include "cluster/cli/program.h"

#include <sstream>

#include "cluster/cli/consume_command.h"
#include "cluster/cli/group_command.h"
#include "cluster/cli/log_dump.h"
#include "cluster/cli/produce_command.h"
#include "cluster/cli/topic_command.h"
#include "cluster/cli/verify_command.h"
#include "cluster/cli/watch_command.h"
#include "common/config/exit_codes.h"
#include "common/config/settings.h"

namespace tributary {
namespace {

struct Flags {
  ClusterFlags cluster;
  TopicFlags topic;
  GroupFlags group;
  ProduceFlags produce;
  ConsumeFlags consume;
  VerifyFlags verify;
  WatchFlags watch;
  LogDumpFlags log_dump;
};

void declare(Settings& settings, Flags& flags) {
  settings.flag_only("--cluster", flags.cluster.url, "A broker: tcp://HOST:PORT (native) or kafka://HOST:PORT")
      .placeholder("URL")
      .check([](const std::string& text) -> Result<> {
        RETURN_IF_ERROR(parse_endpoint(text));
        return {};
      });
  settings.flag_only("--timeout", flags.cluster.timeout, "How long to wait for the cluster").range("100ms", "1h");
  declare_topic_commands(settings, flags.topic);
  declare_group_commands(settings, flags.group);
  declare_produce_command(settings, flags.produce);
  declare_consume_command(settings, flags.consume);
  declare_verify_command(settings, flags.verify);
  declare_watch_command(settings, flags.watch);
  declare_log_command(settings, flags.log_dump);
  settings.example("tributary topic list", "the topics of the broker on this machine");
  settings.example("tributary --cluster tcp://10.0.0.1:9093 consume --topic readings --follow");
}

/// Nothing for a command that only succeeds or fails, else whether it found all well.
Result<bool> run_command(const std::string& command, const Flags& flags, const CommandIo& io) {
  const auto plain = [](Result<> result) -> Result<bool> {
    RETURN_IF_ERROR(std::move(result));
    return true;
  };
  if (command == "topic create") return plain(create_topic_command(flags.cluster, flags.topic, io));
  if (command == "topic list") return plain(list_topics_command(flags.cluster, flags.topic, io));
  if (command == "topic describe") return plain(describe_topic_command(flags.cluster, flags.topic, io));
  if (command == "topic offsets") return plain(topic_offsets_command(flags.cluster, flags.topic, io));
  if (command == "topic alter") return plain(alter_topic_command(flags.cluster, flags.topic, io));
  if (command == "topic delete") return plain(delete_topic_command(flags.cluster, flags.topic, io));
  if (command == "group list") return plain(list_groups_command(flags.cluster, flags.group, io));
  if (command == "group describe") return plain(describe_group_command(flags.cluster, flags.group, io));
  if (command == "group reset-offsets") return plain(reset_offsets_command(flags.cluster, flags.group, io));
  if (command == "group delete") return plain(delete_groups_command(flags.cluster, flags.group, io));
  if (command == "produce") return plain(produce_command(flags.cluster, flags.produce, io));
  if (command == "consume") return plain(consume_command(flags.cluster, flags.consume, io));
  if (command == "verify") return verify_command(flags.cluster, flags.verify, io);
  if (command == "watch") return watch_command(flags.cluster, flags.watch, io);
  return log_dump_command(flags.log_dump, io);
}

}  // namespace

void CommandIo::say(std::string_view text) const {
  (void)errors.write(fmt::format("tributary: {}\n", text));
  (void)errors.flush();
}

Result<std::unique_ptr<ClusterClient>> connect_for(const ClusterFlags& flags) {
  ClusterClientOptions options;
  options.bootstrap = {flags.url};
  options.client_id = "tributary-cli";
  options.request_timeout = flags.timeout;
  auto client = ClusterClient::connect(std::move(options), deadline_in(flags.timeout));
  if (client || client.error().code != Errc::kUnavailable) return client;
  return fail(Errc::kUnavailable,
              client.error().message + "; is tributary-broker running there? Another address: --cluster tcp://HOST:PORT");
}

int run_tributary(const std::vector<std::string>& args, int input, int output_fd, int errors_fd, const StopSignal& stop) {
  Output output(output_fd), errors(errors_fd);
  const CommandIo io{input, output, errors, stop};
  Flags flags;
  Settings settings({"tributary", "Topics, groups, records and log files of a Tributary cluster. Exit codes: 0 done, 1 failed or a "
                                  "fault was found, 2 bad command line", TRIBUTARY_VERSION});
  declare(settings, flags);
  std::ostringstream parse_output, parse_errors;
  const auto parsed = settings.parse(args, parse_output, parse_errors);
  (void)output.write(parse_output.str());
  (void)errors.write(parse_errors.str());
  if (parsed) return *parsed;
  auto result = run_command(settings.chosen(), flags, io);
  if (result && *result)
    if (auto flushed = output.flush(); !flushed) result = tl::unexpected<Error>(flushed.error());
  // Who reads only the head of the output has not changed what was found.
  if (result) return *result ? kExitOk : kExitFailure;
  if (output.reader_left()) return kExitOk;
  io.say(result.error().message);
  return kExitFailure;
}

}  // namespace tributary
