# Runs kcat against librdkafka's mock broker through a proxy, and writes the longest frame of each message and
# version to the file named by the first argument. The second one is librdkafka_mock.c, built:
#   cc librdkafka_mock.c -lrdkafka -o mock && python3 librdkafka.py librdkafka.txt ./mock
import socket, struct, subprocess, sys, threading
mock = subprocess.Popen([sys.argv[2]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
host, port = mock.stdout.readline().decode().strip().split(',')[0].split(':'); port = int(port)
srv = socket.socket(); srv.bind(('127.0.0.1', 0)); srv.listen(20); mine = srv.getsockname()[1]
frames = {}   # (name, version) -> hex
NAMES = {0:'Produce',1:'Fetch',2:'ListOffsets',3:'Metadata',18:'ApiVersions',22:'InitProducerId',19:'CreateTopics',20:'DeleteTopics',32:'DescribeConfigs',60:'DescribeCluster',
    8:'OffsetCommit',9:'OffsetFetch',10:'FindCoordinator',11:'JoinGroup',12:'Heartbeat',13:'LeaveGroup',14:'SyncGroup'}
def read_n(s, n):
    b = b''
    while len(b) < n:
        p = s.recv(n - len(b))
        if not p: raise EOFError
        b += p
    return b
def pump(a, b, pending, request):
    try:
        while True:
            n, = struct.unpack('>i', read_n(a, 4)); f = read_n(a, n)
            if request:
                key, ver, corr = struct.unpack('>hhi', f[:8]); pending[corr] = (key, ver)
                name = NAMES.get(key, 'Api%d' % key) + 'Request'
            else:
                corr, = struct.unpack('>i', f[:4]); key, ver = pending[corr]
                name = NAMES.get(key, 'Api%d' % key) + 'Response'
                if key == 18 and f[4:6] == b'\x00\x23': ver = 0  # UNSUPPORTED_VERSION is said in version 0
                f = f.replace(struct.pack('>i', port), struct.pack('>i', mine))
            k = (name, ver)
            if len(f) < 4000 and (k not in frames or len(frames[k]) < len(f)): frames[k] = f
            b.sendall(struct.pack('>i', len(f)) + f)
    except (EOFError, OSError):
        for s in (a, b):
            try: s.shutdown(2)
            except OSError: pass
def serve():
    while True:
        c, _ = srv.accept(); s = socket.create_connection((host, port)); p = {}
        threading.Thread(target=pump, args=(c, s, p, True), daemon=True).start()
        threading.Thread(target=pump, args=(s, c, p, False), daemon=True).start()
threading.Thread(target=serve, daemon=True).start()
b = '127.0.0.1:%d' % mine
def kcat(*a, inp=None): subprocess.run(['kcat', '-b', b, '-m', '10', *a], input=inp, capture_output=True, timeout=60)
kcat('-L')
kcat('-L', '-t', 'golden')
for z in ('none', 'gzip', 'snappy', 'lz4', 'zstd'):
    kcat('-P', '-t', 'golden', '-p', '0', '-z', z, '-k', 'key', '-H', 'h=1', inp=b'one\ntwo\n')
kcat('-P', '-t', 'golden', '-p', '1', '-X', 'enable.idempotence=true', inp=b'three\n')
kcat('-C', '-t', 'golden', '-p', '0', '-o', 'beginning', '-e', '-X', 'check.crcs=true')
kcat('-C', '-t', 'golden', '-p', '0', '-o', 's@1', '-e')
kcat('-Q', '-t', 'golden:0:-1')
group = ('-X', 'auto.offset.reset=earliest', '-X', 'heartbeat.interval.ms=100', '-c', '2', '-G', 'group', 'golden')
kcat(*group)
kcat('-X', 'group.instance.id=static', *group)
for old in ('0.10.1', '0.11.0', '1.0.0'):
    kcat('-L', '-X', 'api.version.request=false', '-X', 'broker.version.fallback=' + old)
mock.stdin.close()
with open(sys.argv[1], 'w') as o:
    for (n, v), f in sorted(frames.items()): o.write('%s %d captured %s\n' % (n, v, f.hex()))
