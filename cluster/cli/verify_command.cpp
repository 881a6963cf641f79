#include "cluster/cli/verify_command.h"

#include "cluster/cli/consume_command.h"
#include "cluster/cli/ledger_check.h"
#include "cluster/cli/record_printer.h"
#include "cluster/cli/text.h"
#include "cluster/client/consumer.h"
#include "common/config/settings.h"
#include "firmware-sim/ledger/ledger.h"

namespace tributary {
namespace {


Result<> read_partition(ClusterClient& client, const TopicPartition& partition, Offset from, Offset to,
                        LedgerCheck& check, const ClusterFlags& cluster, const CommandIo& io) {
  Consumer consumer(client, {.unavailable_max = cluster.timeout});
  consumer.assign(partition, from);
  Decompressor decompressor;
  while (consumer.position(partition) < to) {
    if (io.stop.requested()) return fail(Errc::kUnavailable, "stopped before the end of the topic: nothing is verified");
    ASSIGN_OR_RETURN(const auto batches, consumer.poll(kStopPoll));
    for (const auto& batch : batches) {
      Result<> observed;
      RETURN_IF_ERROR(for_each_record(batch, decompressor, kPrintedBatchBytesMax, [&](const RecordView& record) {
        if (record.offset >= to) return false;
        observed = check.observe(partition, record.offset, record.value.value_or(ByteView{}));
        return observed.has_value();
      }));
      RETURN_IF_ERROR(observed);
    }
  }
  return {};
}

std::string text_of(const LedgerReport& report, const VerifyFlags& flags, std::size_t partitions) {
  auto out = fmt::format("ledger {}: {} devices, {} acknowledged readings\ntopic {}: {} partitions, {} records\n\n",
                         flags.ledger, report.devices, report.acknowledged, flags.topic, partitions, report.records);
  const auto line = [&](std::string_view name, std::int64_t count, std::string_view remark = {}) {
    out += fmt::format("  {:<16}{:>12}{}{}\n", name, count, remark.empty() ? "" : "  ", remark);
  };
  line("missing", report.missing);
  line("doubled", report.doubled);
  line("out of order", report.out_of_order);
  line("content differs", report.content_differs);
  out += '\n';
  if (report.doubled_by_mqtt > 0) line("doubled by MQTT", report.doubled_by_mqtt, "no fault: the device itself sent them again (QoS 1)");
  if (report.unacknowledged > 0) line("unacknowledged", report.unacknowledged, "no fault: the ledger does not promise them");
  if (report.foreign > 0) line("foreign", report.foreign, "no readings of this ledger's devices");
  for (const auto& offender : report.offenders)
    out += fmt::format("{}: device {} seq {}: {}\n", name_of(offender.fault), offender.device, offender.seq, offender.detail);
  return out + (report.faults() == 0 ? "OK: every acknowledged reading is there, once and in order\n"
                                     : fmt::format("FAILED: {} faults\n", report.faults()));
}

std::string json_of(const LedgerReport& report) {
  auto out = fmt::format(
      "{{\"ok\":{},\"devices\":{},\"acknowledged\":{},\"records\":{},\"missing\":{},\"doubled\":{},\"out_of_order\":{},"
      "\"content_differs\":{},\"doubled_by_mqtt\":{},\"unacknowledged\":{},\"foreign\":{},\"offenders\":[",
      report.faults() == 0, report.devices, report.acknowledged, report.records, report.missing, report.doubled,
      report.out_of_order, report.content_differs, report.doubled_by_mqtt, report.unacknowledged, report.foreign);
  for (std::size_t i = 0; i < report.offenders.size(); ++i) {
    const auto& offender = report.offenders[i];
    out += i > 0 ? ",{\"fault\":" : "{\"fault\":";
    append_json_string(out, name_of(offender.fault));
    out += ",\"device\":";
    append_json_string(out, offender.device);
    out += fmt::format(",\"seq\":{},\"detail\":", offender.seq);
    append_json_string(out, offender.detail);
    out += '}';
  }
  return out + "]}\n";
}

}  // namespace

void declare_verify_command(Settings& program, VerifyFlags& flags) {
  auto& verify = program.command(
      "verify", "Holds a topic against the ledger of tributary-fleet: is every reading that was acknowledged to a device "
                "in the log, once, in order, unchanged? Exit code 1 if not, or if it cannot be told");
  verify.flag_only("--ledger", flags.ledger, "The SQLite file that tributary-fleet wrote").placeholder("FILE").required();
  verify.flag_only("--topic,-t", flags.topic, "The topic").placeholder("TOPIC").required();
  verify.flag_only("--show", flags.show, "How many offenders of each kind are named").placeholder("N").range(0, 1'000'000);
  verify.flag_only("--json", flags.json, "As one JSON object");
  verify.example("tributary verify --ledger fleet.db --topic readings");
}

Result<bool> verify_command(const ClusterFlags& cluster, const VerifyFlags& flags, const CommandIo& io) {
  ASSIGN_OR_RETURN(const auto ledger, LedgerReader::open(flags.ledger));
  ASSIGN_OR_RETURN(const auto check, LedgerCheck::create(*ledger, flags.show));
  ASSIGN_OR_RETURN(const auto client, connect_for(cluster));
  const auto deadline = deadline_in(cluster.timeout);
  ASSIGN_OR_RETURN(const auto partitions, partitions_of(*client, flags.topic, -1, deadline));
  for (const auto& partition : partitions) {
    ASSIGN_OR_RETURN(const auto range, resolve_offsets(*client, {{partition, StartAt::earliest()}, {partition, StartAt::latest()}},
                                                       deadline_in(cluster.timeout)));
    RETURN_IF_ERROR(read_partition(*client, partition, range.front(), range.back(), *check, cluster, io));
  }
  ASSIGN_OR_RETURN(const auto report, check->finish());
  if (report.acknowledged == 0)
    return fail(Errc::kInvalidArgument, fmt::format("the ledger {} holds no acknowledged reading: nothing is verified", flags.ledger));
  // The verdict stands also when whoever reads it has left.
  (void)io.output.write(flags.json ? json_of(report) : text_of(report, flags, partitions.size()));
  (void)io.output.flush();
  return report.faults() == 0;
}

}  // namespace tributary
