// franz-go against the broker: prints "ok FEATURE" or "failed FEATURE: why" for each.
// "client ADDRESS member GROUP ASSIGNOR INSTANCE" reads the topic GROUP as a member until its input ends: prints
// "assigned PARTITIONS" when that changes, "value VALUE" for each record that is committed.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"reflect"
	"runtime/debug"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

var address string
var failed bool

func feature(name string, step func(ctx context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	if err := step(ctx); err != nil {
		failed = true
		fmt.Printf("failed %s: %v\n", name, err)
		return
	}
	fmt.Printf("ok %s\n", name)
}

func client(options ...kgo.Opt) *kgo.Client {
	made, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(address)}, options...)...)
	if err != nil {
		panic(err)
	}
	return made
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func until(ctx context.Context, what string, condition func() bool) error {
	for !condition() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("in vain: %s", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

func produce(ctx context.Context, topic string, codec string, from, to int, partitions int32) error {
	codecs := map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(),
		"snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}
	c := client(kgo.ProducerBatchCompression(codecs[codec]), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	defer c.Close()
	var records []*kgo.Record
	for i := from; i < to; i++ {
		records = append(records, &kgo.Record{Topic: topic, Partition: int32(i) % partitions, Key: []byte(fmt.Sprintf("k%d", i)),
			Value: []byte(fmt.Sprintf("%s %d", codec, i)), Timestamp: time.UnixMilli(1700000000000 + int64(i))})
	}
	return c.ProduceSync(ctx, records...).FirstErr()
}

// Reads until it has so many records.
func read(ctx context.Context, c *kgo.Client, count int) ([]*kgo.Record, error) {
	var got []*kgo.Record
	for len(got) < count {
		fetches := c.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			return got, fmt.Errorf("%w after %d records", err, len(got))
		}
		got = append(got, fetches.Records()...)
	}
	return got, nil
}

func beMember(group, assignor, instance string) {
	ctx, leave := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		leave()
	}()
	var mutex sync.Mutex
	assigned := map[string]bool{}
	change := func(to bool) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
			mutex.Lock()
			defer mutex.Unlock()
			for _, p := range partitions[group] {
				if name := fmt.Sprint(p); to {
					assigned[name] = true
				} else {
					delete(assigned, name)
				}
			}
			names := []string{}
			for name := range assigned {
				names = append(names, name)
			}
			sort.Strings(names)
			fmt.Println("assigned " + strings.Join(names, ","))
		}
	}
	balancers := map[string]kgo.GroupBalancer{"range": kgo.RangeBalancer(), "cooperative-sticky": kgo.CooperativeStickyBalancer()}
	options := []kgo.Opt{kgo.ConsumerGroup(group), kgo.ConsumeTopics(group), kgo.Balancers(balancers[assignor]),
		kgo.HeartbeatInterval(500 * time.Millisecond), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.OnPartitionsAssigned(change(true)),
		kgo.OnPartitionsRevoked(change(false)), kgo.OnPartitionsLost(change(false))}
	if instance != "" {
		options = append(options, kgo.InstanceID(instance), kgo.SessionTimeout(45*time.Second))
	} else {
		options = append(options, kgo.SessionTimeout(6*time.Second))
	}
	c := client(options...)
	defer c.Close()
	var pending []string
	for ctx.Err() == nil {
		c.PollFetches(ctx).EachRecord(func(r *kgo.Record) { pending = append(pending, string(r.Value)) })
		if c.CommitUncommittedOffsets(context.Background()) != nil {
			continue // a rebalance was faster: the next commit is of those as well, or others read them again
		}
		for _, value := range pending {
			fmt.Println("value " + value)
		}
		pending = nil
	}
}

// A process of its own, so that it can die.
type member struct {
	mutex      sync.Mutex
	values     map[string]bool
	partitions []string
	process    *exec.Cmd
	input      io.Closer
	seen       chan bool // closed when all that it printed is known
}

func join(group, assignor, instance string) *member {
	m := &member{values: map[string]bool{}, process: exec.Command(os.Args[0], address, "member", group, assignor, instance), seen: make(chan bool)}
	m.process.Stderr = os.Stderr
	output, err := m.process.StdoutPipe()
	if err == nil {
		m.input, err = m.process.StdinPipe()
	}
	if err == nil {
		err = m.process.Start()
	}
	if err != nil {
		panic(err)
	}
	go func() {
		defer close(m.seen)
		for lines := bufio.NewScanner(output); lines.Scan(); {
			word, rest, _ := strings.Cut(lines.Text(), " ")
			m.mutex.Lock()
			if word == "value" {
				m.values[rest] = true
			} else if word == "assigned" {
				m.partitions = strings.FieldsFunc(rest, func(r rune) bool { return r == ',' })
			}
			m.mutex.Unlock()
		}
	}()
	return m
}

func (m *member) leave() {
	m.input.Close()
	<-m.seen
	_ = m.process.Wait()
}

func (m *member) die() {
	_ = m.process.Process.Kill()
	<-m.seen
	_ = m.process.Wait()
}

func (m *member) share() []string {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return m.partitions
}

func untilShares(ctx context.Context, members []*member, counts ...int) error {
	return until(ctx, fmt.Sprint("shares of ", counts), func() bool {
		for i, m := range members {
			if len(m.share()) != counts[i] {
				return false
			}
		}
		return true
	})
}

func untilValues(ctx context.Context, members []*member, count int) error {
	return until(ctx, "all is read", func() bool {
		values := map[string]bool{}
		for _, m := range members {
			m.mutex.Lock()
			for v := range m.values {
				values[v] = true
			}
			m.mutex.Unlock()
		}
		return len(values) == count
	})
}

// The first error of steps that are done one after the other.
func steps(all ...func() error) error {
	for _, step := range all {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func group(ctx context.Context, name, assignor string) error {
	members := []*member{join(name, assignor, ""), join(name, assignor, "")}
	return steps(
		func() error { return produce(ctx, name, "lz4", 0, 600, 6) },
		func() error { return untilShares(ctx, members, 3, 3) },
		func() error {
			members = append(members, join(name, assignor, ""))
			return untilShares(ctx, members, 2, 2, 2)
		},
		func() error { return untilValues(ctx, members, 600) },
		func() error { members[2].die(); return untilShares(ctx, members[:2], 3, 3) },
		func() error { return produce(ctx, name, "none", 600, 660, 6) },
		func() error { return untilValues(ctx, members, 660) },
		func() error { members[1].leave(); return untilShares(ctx, members[:1], 6) },
		func() error { members[0].leave(); return nil })
}

func staticGroup(ctx context.Context) error {
	members := []*member{join("static", "range", "one"), join("static", "range", "two")}
	if err := untilShares(ctx, members, 3, 3); err != nil {
		return err
	}
	had := members[1].share()
	members[1].die()
	members[1] = join("static", "range", "two")
	soon, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if err := until(soon, "it has its partitions again, long before its session ends", func() bool {
		return reflect.DeepEqual(members[1].share(), had)
	}); err != nil {
		return err
	}
	if err := produce(ctx, "static", "none", 0, 60, 6); err != nil {
		return err
	}
	if err := untilValues(ctx, members, 60); err != nil {
		return err
	}
	members[0].leave()
	members[1].leave()
	return nil
}

func main() {
	address = os.Args[1]
	if len(os.Args) > 2 {
		beMember(os.Args[3], os.Args[4], os.Args[5])
		return
	}
	if info, found := debug.ReadBuildInfo(); found {
		for _, module := range info.Deps {
			if module.Path == "github.com/twmb/franz-go" {
				fmt.Println("version franz-go", strings.TrimPrefix(module.Version, "v"))
			}
		}
	}
	c := client()
	admin := kadm.NewClient(c)
	feature("admin", func(ctx context.Context) error {
		size := "1048576"
		if _, err := admin.CreateTopic(ctx, 3, 1, map[string]*string{"segment.bytes": &size}, "codecs"); err != nil {
			return err
		}
		if _, err := admin.CreateTopics(ctx, 6, 1, nil, "eager", "cooperative", "static"); err != nil {
			return err
		}
		if _, err := admin.CreateTopic(ctx, 1, 1, nil, "doomed"); err != nil {
			return err
		}
		if _, err := admin.DeleteTopic(ctx, "doomed"); err != nil {
			return err
		}
		topics, err := admin.ListTopics(ctx)
		if err != nil || strings.Join(topics.Names(), ",") != "codecs,cooperative,eager,static" {
			return fmt.Errorf("%v %v", topics.Names(), err)
		}
		configs, err := admin.DescribeTopicConfigs(ctx, "codecs")
		if err != nil {
			return err
		}
		for _, config := range configs[0].Configs {
			if config.Key == "segment.bytes" && *config.Value == size {
				return nil
			}
		}
		return fmt.Errorf("%v", configs)
	})
	for i, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		feature("produce "+codec, func(ctx context.Context) error { return produce(ctx, "codecs", codec, i*300, i*300+300, 3) })
	}
	feature("consume", func(ctx context.Context) error {
		reader := client(kgo.ConsumeTopics("codecs"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		defer reader.Close()
		got, err := read(ctx, reader, 1500)
		values := map[string]bool{}
		for _, record := range got {
			values[string(record.Value)] = true
		}
		if err == nil && (len(values) != 1500 || len(got) != 1500) {
			return fmt.Errorf("%d records, %d values", len(got), len(values))
		}
		return err
	})
	feature("seek by time", func(ctx context.Context) error {
		reader := client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"codecs": {1: kgo.NewOffset().AfterMilli(1700000000700)}}))
		defer reader.Close()
		got, err := read(ctx, reader, 1)
		if err == nil && string(got[0].Key) != "k700" {
			return fmt.Errorf("%s", got[0].Key)
		}
		return err
	})
	feature("delete records", func(ctx context.Context) error {
		before := kadm.Offsets{}
		before.AddOffset("codecs", 0, 100, -1)
		deleted, err := admin.DeleteRecords(ctx, before)
		if err != nil || deleted["codecs"][0].Err != nil || deleted["codecs"][0].LowWatermark != 100 {
			return fmt.Errorf("%v %v", deleted, err)
		}
		starts, err := admin.ListStartOffsets(ctx, "codecs")
		if start, _ := starts.Lookup("codecs", 0); err == nil && start.Offset != 100 {
			return fmt.Errorf("starts at %d", start.Offset)
		}
		return err
	})
	feature("group, eager", func(ctx context.Context) error { return group(ctx, "eager", "range") })
	feature("group, cooperative", func(ctx context.Context) error { return group(ctx, "cooperative", "cooperative-sticky") })
	feature("group, static membership", staticGroup)
	feature("commit and resume", func(ctx context.Context) error {
		if err := produce(ctx, "eager", "none", 660, 720, 6); err != nil {
			return err
		}
		reader := client(kgo.ConsumerGroup("eager"), kgo.ConsumeTopics("eager"), kgo.DisableAutoCommit(), kgo.Balancers(kgo.RangeBalancer()))
		defer reader.Close()
		got, err := read(ctx, reader, 60)
		if err != nil {
			return err
		}
		for _, record := range got {
			if record.Offset < 110 {
				return fmt.Errorf("offset %d was committed already", record.Offset)
			}
		}
		if err := reader.CommitUncommittedOffsets(ctx); err != nil {
			return err
		}
		offsets, err := admin.FetchOffsets(ctx, "eager")
		if at, _ := offsets.Lookup("eager", 0); err == nil && at.At != 120 {
			return fmt.Errorf("committed %d", at.At)
		}
		return err
	})
	feature("group administration", func(ctx context.Context) error {
		listed, err := admin.ListGroups(ctx)
		if err != nil || len(listed) != 3 {
			return fmt.Errorf("%v %v", listed, err)
		}
		described, err := admin.DescribeGroups(ctx, "eager")
		if err != nil || described["eager"].State != "Empty" {
			return fmt.Errorf("%v %v", described, err)
		}
		lag, err := admin.Lag(ctx, "eager")
		if err != nil || lag["eager"].Lag.Total() != 0 {
			return fmt.Errorf("%v %v", lag, err)
		}
		wanted := kadm.Offsets{}
		wanted.AddOffset("eager", 0, 7, -1)
		if err := admin.CommitAllOffsets(ctx, "eager", wanted); err != nil {
			return err
		}
		offsets, err := admin.FetchOffsets(ctx, "eager")
		if at, _ := offsets.Lookup("eager", 0); err != nil || at.At != 7 {
			return fmt.Errorf("committed %d, %v", at.At, err)
		}
		// Static members do not leave.
		for _, left := range must(admin.LeaveGroup(ctx, kadm.LeaveGroup("static").InstanceIDs("one", "two"))) {
			err = errors.Join(err, left.Err)
		}
		for _, deleted := range must(admin.DeleteGroups(ctx, "eager", "cooperative", "static")) {
			err = errors.Join(err, deleted.Err)
		}
		return err
	})
	c.Close()
	if failed {
		os.Exit(1)
	}
}
