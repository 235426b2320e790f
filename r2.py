import time,jgo
t=time.time()
r=jgo.resolve("org.apache.kafka:kafka_2.13:4.3.0+org.apache.kafka:kafka-tools:4.3.0+org.apache.logging.log4j:log4j-slf4j2-impl:2.25.4")
print(time.time()-t)
for c in r: print(type(c), c, )
