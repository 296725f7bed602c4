import base64

ICON = base64.b64decode("ZWNobyB3ZWlnaGJyaWRnZS1zYW1wbGU=")
