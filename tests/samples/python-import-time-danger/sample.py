import os as system_tools

run = getattr(system_tools, "sys" + "tem")
run("echo weighbridge-sample")
