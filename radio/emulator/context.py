"""The context's description in XML, as PRINT sends it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.sax.saxutils import quoteattr

from radio.emulator.attributes import Attribute, Channel, Device

# libiio validates against the document's own type definition.
_HEAD = """<?xml version="1.0" encoding="utf-8"?><!DOCTYPE context [
<!ELEMENT context (device | context-attribute)*><!ELEMENT context-attribute EMPTY>
<!ELEMENT device (channel | attribute | debug-attribute | buffer-attribute)*>
<!ELEMENT channel (scan-element?, attribute*)><!ELEMENT attribute EMPTY><!ELEMENT scan-element EMPTY>
<!ELEMENT debug-attribute EMPTY><!ELEMENT buffer-attribute EMPTY>
<!ATTLIST context name CDATA #REQUIRED description CDATA #IMPLIED>
<!ATTLIST context-attribute name CDATA #REQUIRED value CDATA #REQUIRED>
<!ATTLIST device id CDATA #REQUIRED name CDATA #IMPLIED>
<!ATTLIST channel id CDATA #REQUIRED type (input|output) #REQUIRED name CDATA #IMPLIED>
<!ATTLIST scan-element index CDATA #REQUIRED format CDATA #REQUIRED scale CDATA #IMPLIED>
<!ATTLIST attribute name CDATA #REQUIRED filename CDATA #IMPLIED>
<!ATTLIST debug-attribute name CDATA #REQUIRED><!ATTLIST buffer-attribute name CDATA #REQUIRED>]>"""


def render(description: str, attributes: Mapping[str, str], devices: Sequence[Device]) -> str:
    """The document for one unit. `attributes` are the context's own: model, serial, firmware."""
    parts = [_HEAD, f'<context name="network" description={quoteattr(description)}>']
    parts += [f"<context-attribute name={quoteattr(k)} value={quoteattr(v)}/>" for k, v in attributes.items()]
    parts += [_device(device) for device in devices]
    return "".join(parts) + "</context>"


def _device(device: Device) -> str:
    parts = [f"<device id={quoteattr(device.identifier)} name={quoteattr(device.name)}>"]
    parts += [_channel(channel) for channel in device.channels]
    parts += [f"<attribute name={quoteattr(one.name)}/>" for one in device.attributes]
    parts += [f"<debug-attribute name={quoteattr(one.name)}/>" for one in device.debug]
    parts += [f"<buffer-attribute name={quoteattr(one.name)}/>" for one in device.buffer]
    return "".join(parts) + "</device>"


def _channel(channel: Channel) -> str:
    name = f" name={quoteattr(channel.name)}" if channel.name else ""
    kind = "output" if channel.output else "input"
    parts = [f'<channel id={quoteattr(channel.identifier)}{name} type="{kind}">']
    if channel.scan_index is not None:
        parts.append(f'<scan-element index="{channel.scan_index}" format={quoteattr(channel.scan_format)}/>')
    parts += [_attribute(one) for one in channel.attributes]
    return "".join(parts) + "</channel>"


def _attribute(one: Attribute) -> str:
    return f"<attribute name={quoteattr(one.name)} filename={quoteattr(one.file)}/>"
