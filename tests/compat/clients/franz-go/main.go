// franz-go against the broker: prints "ok FEATURE" or "failed FEATURE: why" for each.
package main

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
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

// Reads as a member of a group, and commits what it got, until it is closed.
type member struct {
	mutex    sync.Mutex
	values   map[string]bool
	assigned int
	client   *kgo.Client
	done     chan bool
}

func join(group string, balancer kgo.GroupBalancer) *member {
	m := &member{values: map[string]bool{}, done: make(chan bool)}
	count := func(by int) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
			m.mutex.Lock()
			defer m.mutex.Unlock()
			for _, p := range partitions {
				m.assigned += by * len(p)
			}
		}
	}
	m.client = client(kgo.ConsumerGroup(group), kgo.ConsumeTopics("grouped"), kgo.Balancers(balancer),
		kgo.SessionTimeout(6*time.Second), kgo.HeartbeatInterval(500*time.Millisecond), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.OnPartitionsAssigned(count(1)),
		kgo.OnPartitionsRevoked(count(-1)), kgo.OnPartitionsLost(count(-1)))
	go func() {
		defer close(m.done)
		for {
			fetches := m.client.PollFetches(context.Background())
			if fetches.IsClientClosed() {
				return
			}
			m.mutex.Lock()
			fetches.EachRecord(func(r *kgo.Record) { m.values[string(r.Value)] = true })
			m.mutex.Unlock()
			_ = m.client.CommitUncommittedOffsets(context.Background()) // a rebalance may be faster
		}
	}()
	return m
}

func (m *member) leave() {
	m.client.Close()
	<-m.done
}

func (m *member) count() int {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return m.assigned
}

func group(ctx context.Context, name string, balancer kgo.GroupBalancer) error {
	members := []*member{join(name, balancer), join(name, balancer), join(name, balancer)}
	all := func(want int) bool {
		for _, m := range members {
			if m.count() != want {
				return false
			}
		}
		return true
	}
	if err := until(ctx, "all join", func() bool { return all(2) }); err != nil {
		return err
	}
	if err := until(ctx, "all is read", func() bool {
		values := map[string]bool{}
		for _, m := range members {
			m.mutex.Lock()
			for v := range m.values {
				values[v] = true
			}
			m.mutex.Unlock()
		}
		return len(values) == 600
	}); err != nil {
		return err
	}
	members[2].leave()
	members = members[:2]
	if err := until(ctx, "the others take over", func() bool { return all(3) }); err != nil {
		return err
	}
	members[0].leave()
	members[1].leave()
	return nil
}

func main() {
	address = os.Args[1]
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
		if _, err := admin.CreateTopics(ctx, 6, 1, nil, "grouped"); err != nil {
			return err
		}
		if _, err := admin.CreateTopic(ctx, 1, 1, nil, "doomed"); err != nil {
			return err
		}
		if _, err := admin.DeleteTopic(ctx, "doomed"); err != nil {
			return err
		}
		topics, err := admin.ListTopics(ctx)
		if err != nil || strings.Join(topics.Names(), ",") != "codecs,grouped" {
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
	if err := produce(context.Background(), "grouped", "lz4", 0, 600, 6); err != nil {
		fmt.Println("failed produce for groups:", err)
		os.Exit(1)
	}
	feature("group, eager", func(ctx context.Context) error { return group(ctx, "eager", kgo.RangeBalancer()) })
	feature("group, cooperative", func(ctx context.Context) error { return group(ctx, "cooperative", kgo.CooperativeStickyBalancer()) })
	feature("commit and resume", func(ctx context.Context) error {
		if err := produce(ctx, "grouped", "none", 600, 660, 6); err != nil {
			return err
		}
		reader := client(kgo.ConsumerGroup("eager"), kgo.ConsumeTopics("grouped"), kgo.DisableAutoCommit(), kgo.Balancers(kgo.RangeBalancer()))
		defer reader.Close()
		got, err := read(ctx, reader, 60)
		if err != nil {
			return err
		}
		for _, record := range got {
			if record.Offset < 100 {
				return fmt.Errorf("offset %d was committed already", record.Offset)
			}
		}
		if err := reader.CommitUncommittedOffsets(ctx); err != nil {
			return err
		}
		offsets, err := admin.FetchOffsets(ctx, "eager")
		if at, _ := offsets.Lookup("grouped", 0); err == nil && at.At != 110 {
			return fmt.Errorf("committed %d", at.At)
		}
		return err
	})
	feature("group administration", func(ctx context.Context) error {
		listed, err := admin.ListGroups(ctx)
		if err != nil || len(listed) != 2 {
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
		_, err = admin.DeleteGroups(ctx, "eager", "cooperative")
		return err
	})
	c.Close()
	if failed {
		os.Exit(1)
	}
}
