package main

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"os"
	"reflect"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Each field gets a value that follows from its name, so that a test can tell two fields apart.
func number(name string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(name))
	return h.Sum32()
}

// Tagged fields that kmsg writes in every flexible version, but that the version being made does not have.
var newer map[string]bool

func newerThan(api string, version int16) map[string]bool {
	m := map[string]bool{"FetchRequest.ReplicaState": true, "FetchRequestTopicPartition.ReplicaDirectoryID": true,
		"FetchRequestTopicPartition.HighWatermark": true, "FetchResponse.Brokers": true}
	if api == "Produce" && version < 10 {
		m["ProduceResponse.Brokers"] = true
		m["ProduceResponseTopicPartition.CurrentLeader"] = true
	}
	return m
}

func fill(v reflect.Value, name string, salt uint32) {
	n := number(name) + salt
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int8:
		v.SetInt(int64(n & 0x7f))
	case reflect.Int16:
		v.SetInt(int64(n & 0x7fff))
	case reflect.Int32:
		v.SetInt(int64(n & 0x7fffffff))
	case reflect.Int64:
		v.SetInt(int64(n)<<8 | 0x7f)
	case reflect.String:
		v.SetString(fmt.Sprintf("%s%d", name, salt))
	case reflect.Ptr:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), name, salt)
	case reflect.Array:
		for i := 0; i < v.Len(); i++ {
			v.Index(i).SetUint(uint64(byte(n) + byte(i)))
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes([]byte(fmt.Sprintf("the bytes of %s%d", name, salt)))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := 0; i < 2; i++ {
			fill(v.Index(i), name, uint32(i))
		}
	case reflect.Struct:
		if d, ok := v.Addr().Interface().(interface{ Default() }); ok {
			d.Default()
		}
		for i := 0; i < v.NumField(); i++ {
			f := v.Type().Field(i)
			if newer[v.Type().Name()+"."+f.Name] || f.Name == "Version" || f.Name == "UnknownTags" || !f.IsExported() {
				continue
			}
			fill(v.Field(i), f.Name, salt)
		}
	}
}

type api struct {
	name     string
	key      int16
	min, max int16
}

func main() {
	apis := []api{{"Produce", 0, 3, 11}, {"Fetch", 1, 4, 13}, {"ListOffsets", 2, 1, 7}, {"Metadata", 3, 0, 12},
		{"ApiVersions", 18, 0, 4}, {"CreateTopics", 19, 2, 7}, {"DeleteTopics", 20, 1, 6},
		{"InitProducerId", 22, 0, 4}, {"DescribeConfigs", 32, 1, 4}, {"DescribeCluster", 60, 0, 1},
		{"OffsetCommit", 8, 2, 8}, {"OffsetFetch", 9, 1, 8}, {"FindCoordinator", 10, 0, 4},
		{"JoinGroup", 11, 0, 9}, {"Heartbeat", 12, 0, 4}, {"LeaveGroup", 13, 0, 5},
		{"SyncGroup", 14, 0, 5}, {"DescribeGroups", 15, 0, 5}, {"ListGroups", 16, 0, 4},
		{"DeleteGroups", 42, 0, 2}, {"OffsetDelete", 47, 0, 0}, {"CreatePartitions", 37, 0, 3},
		{"DeleteRecords", 21, 0, 2}, {"IncrementalAlterConfigs", 44, 0, 1}, {"OffsetForLeaderEpoch", 23, 2, 4},
		{"DescribeLogDirs", 35, 1, 4}}
	if len(os.Args) > 1 && os.Args[1] == "names" {
		for _, a := range apis {
			r := kmsg.RequestForKey(a.key)
			names(reflect.TypeOf(r).Elem(), "")
			names(reflect.TypeOf(r.ResponseKind()).Elem(), "")
		}
		return
	}
	f := kmsg.NewRequestFormatter(kmsg.FormatterClientID("golden"))
	for _, a := range apis {
		for v := a.min; v <= a.max; v++ {
			newer = newerThan(a.name, v)
			for _, filled := range []bool{true, false} {
				r := kmsg.RequestForKey(a.key)
				kind := "default"
				if filled {
					kind = "filled"
					fill(reflect.ValueOf(r).Elem(), "", 0)
				}
				r.SetVersion(v)
				b := f.AppendRequest(nil, r, 7)
				fmt.Printf("%sRequest %d %s %s\n", a.name, v, kind, hex.EncodeToString(b[4:]))
			}
		}
		for v := a.min; v <= a.max; v++ {
			newer = newerThan(a.name, v)
			for _, filled := range []bool{true, false} {
				r := kmsg.RequestForKey(a.key).ResponseKind()
				kind := "default"
				if filled {
					kind = "filled"
					fill(reflect.ValueOf(r).Elem(), "", 0)
				}
				r.SetVersion(v)
				b := binary.BigEndian.AppendUint32(nil, 7)
				if r.IsFlexible() && a.key != 18 {
					b = append(b, 0)
				}
				b = r.AppendTo(b)
				fmt.Printf("%sResponse %d %s %s\n", a.name, v, kind, hex.EncodeToString(b))
			}
		}
	}
}

func names(t reflect.Type, indent string) {
	fmt.Println(indent+t.Name())
	for i := 0; i < t.NumField(); i++ {
		f := t.Field(i)
		if f.Name == "Version" || f.Name == "UnknownTags" {
			continue
		}
		fmt.Println(indent+"  "+f.Name, f.Type)
		e := f.Type
		if e.Kind() == reflect.Slice {
			e = e.Elem()
		}
		if e.Kind() == reflect.Struct {
			names(e, indent+"    ")
		}
	}
}
