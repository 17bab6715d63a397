"""Makes `twistd imsd` known to Twisted."""

from twisted.application.service import ServiceMaker

imsd = ServiceMaker("imsd", "imsd.tap", "Internet mail and directory server", "imsd")
