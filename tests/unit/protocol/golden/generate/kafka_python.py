# Frames as kafka-python encodes them from Kafka's own message schemas. Each field's value follows from its name.
import types, uuid
from kafka.protocol.producer import produce, transaction
from kafka.protocol.consumer import fetch, group, offsets
from kafka.protocol.metadata import metadata, api_versions, find_coordinator
from kafka.protocol.admin import topics, configs, cluster, groups

def number(name):
    h = 0x811c9dc5
    for b in name.encode(): h = ((h ^ b) * 0x01000193) & 0xffffffff
    return h

def simple(t, name, salt):
    n = (number(name) + salt) & 0xffffffff
    if t == 'bool': return True
    if t == 'int8': return n & 0x7f
    if t == 'int16': return n & 0x7fff
    if t == 'int32': return n & 0x7fffffff
    if t == 'int64': return n << 8 | 0x7f
    if t == 'string': return '%s%d' % (name, salt)
    if t == 'uuid': return uuid.UUID(bytes=bytes((n + i) & 0xff for i in range(16)))
    if t in ('records', 'bytes'): return b'the bytes of %s%d' % (name.encode(), salt)
    if t == 'bitfield': return {i for i in range(31) if n >> i & 1}
    raise Exception(t)

def fill_struct(f, v, salt):
    r = {}
    for c in f._fields:
        if c.for_version_q(v): r[c.name] = fill(c, v, salt)
    return r

def item(f, v, salt):
    r = fill_struct(f, v, salt)
    return types.SimpleNamespace(**r, unknown_tags=None,
                                 tags={c.name for c in f._fields if c.for_version_q(v) and c._tag is not None})

def fill(f, v, salt):
    name = f._name[0].upper() + f._name[1:]
    if f.is_struct(): return item(f, v, salt)
    if f.is_struct_array(): return [item(f, v, i) for i in range(2)]
    t = f._type_str
    if t == 'bitfield': name = 'AuthorizedOperations'
    if t.startswith('[]'): return [simple(t[2:], name, i) for i in range(2)]
    return simple(t, name, salt)

apis = [(produce.ProduceRequest, produce.ProduceResponse, 3, 11), (fetch.FetchRequest, fetch.FetchResponse, 4, 13),
        (offsets.ListOffsetsRequest, offsets.ListOffsetsResponse, 1, 7),
        (metadata.MetadataRequest, metadata.MetadataResponse, 0, 12),
        (api_versions.ApiVersionsRequest, api_versions.ApiVersionsResponse, 0, 4),
        (topics.CreateTopicsRequest, topics.CreateTopicsResponse, 2, 7),
        (topics.DeleteTopicsRequest, topics.DeleteTopicsResponse, 1, 6),
        (transaction.InitProducerIdRequest, transaction.InitProducerIdResponse, 0, 4),
        (configs.DescribeConfigsRequest, configs.DescribeConfigsResponse, 1, 4),
        (cluster.DescribeClusterRequest, cluster.DescribeClusterResponse, 0, 1),
        (group.OffsetCommitRequest, group.OffsetCommitResponse, 2, 8),
        (group.OffsetFetchRequest, group.OffsetFetchResponse, 1, 8),
        (find_coordinator.FindCoordinatorRequest, find_coordinator.FindCoordinatorResponse, 0, 4),
        (group.JoinGroupRequest, group.JoinGroupResponse, 0, 9),
        (group.HeartbeatRequest, group.HeartbeatResponse, 0, 4),
        (group.LeaveGroupRequest, group.LeaveGroupResponse, 0, 5),
        (group.SyncGroupRequest, group.SyncGroupResponse, 0, 5),
        (groups.DescribeGroupsRequest, groups.DescribeGroupsResponse, 0, 5),
        (groups.ListGroupsRequest, groups.ListGroupsResponse, 0, 4),
        (groups.DeleteGroupsRequest, groups.DeleteGroupsResponse, 0, 2),
        (group.OffsetDeleteRequest, group.OffsetDeleteResponse, 0, 0),
        (topics.CreatePartitionsRequest, topics.CreatePartitionsResponse, 0, 3),
        (topics.DeleteRecordsRequest, topics.DeleteRecordsResponse, 0, 2),
        (configs.IncrementalAlterConfigsRequest, configs.IncrementalAlterConfigsResponse, 0, 1),
        (offsets.OffsetForLeaderEpochRequest, offsets.OffsetForLeaderEpochResponse, 2, 4),
        (cluster.DescribeLogDirsRequest, cluster.DescribeLogDirsResponse, 1, 4)]
for req, resp, lo, hi in apis:
    for c in (req, resp):
        for v in range(lo, hi + 1):
            m = c(version=v, **fill_struct(c._struct, v, 0))
            m.with_header(correlation_id=7, **({'client_id': 'golden'} if c is req else {}))
            print(c._json['name'], v, 'filled', m.encode(header=True, framed=False).hex())
