// Reads the files named as arguments with Kafka's own message classes and writes each frame again; says which
// frames do not come out as they went in. With kafka-clients and its dependencies in lib/:
//   java -cp 'lib/*' KafkaClients.java ../*.txt
import java.nio.ByteBuffer;
import java.nio.file.*;
import java.util.*;
import org.apache.kafka.common.message.*;
import org.apache.kafka.common.protocol.*;

public class KafkaClients {
  static ApiMessageType type(String name) {
    for (ApiMessageType t : ApiMessageType.values()) if (t.name.equals(name)) return t;
    throw new IllegalArgumentException("no message of this name");
  }

  static byte[] again(ApiMessageType type, boolean request, short version, byte[] frame) {
    short headerVersion = request ? type.requestHeaderVersion(version) : type.responseHeaderVersion(version);
    ByteBufferAccessor in = new ByteBufferAccessor(ByteBuffer.wrap(frame));
    ApiMessage header =
        request ? new RequestHeaderData(in, headerVersion) : new ResponseHeaderData(in, headerVersion);
    ApiMessage body = request ? type.newRequest() : type.newResponse();
    body.read(in, version);
    if (in.remaining() > 0) throw new IllegalArgumentException(in.remaining() + " bytes are left over");
    ObjectSerializationCache cache = new ObjectSerializationCache();
    ByteBuffer out = ByteBuffer.allocate(header.size(cache, headerVersion) + body.size(cache, version));
    header.write(new ByteBufferAccessor(out), cache, headerVersion);
    body.write(new ByteBufferAccessor(out), cache, version);
    return out.array();
  }

  public static void main(String[] files) throws Exception {
    int same = 0, others = 0;
    for (String file : files) {
      for (String line : Files.readAllLines(Path.of(file))) {
        String[] words = line.split(" ");
        boolean request = words[0].endsWith("Request");
        String name = words[0].replaceAll("(Request|Response)$", "");
        String problem = "different bytes";
        try {
          byte[] frame = HexFormat.of().parseHex(words[3]);
          byte[] back = again(type(name), request, Short.parseShort(words[1]), frame);
          if (Arrays.equals(back, frame)) problem = null;
        } catch (RuntimeException e) {
          problem = e.toString();
        }
        if (problem == null) {
          same++;
        } else {
          others++;
          System.out.println(file + ": " + words[0] + " v" + words[1] + " " + words[2] + ": " + problem);
        }
      }
    }
    System.out.println(same + " frames are the same, " + others + " are not");
    System.exit(others == 0 ? 0 : 1);
  }
}
