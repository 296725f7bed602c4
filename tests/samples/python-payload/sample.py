import base64


def later():
    exec(base64.b64decode("ZWNobyB3ZWlnaGJyaWRnZS1zYW1wbGU="))
