"""An encoder that is none of ours: FFmpeg's WHIP muxer through PyAV, with the numbered picture and the sound."""

from __future__ import annotations

import base64
import ssl
import threading
from pathlib import Path

import av

from common.clock import Clock, SystemClock
from crypto.certificates import new_certificate
from server.probe.sources import AUDIO_FRAME, AUDIO_RATE, DemoAudio, DemoVideo

RATE = 20  # frames per second
WIDTH, HEIGHT = 640, 360


class Encoder(threading.Thread):
    """Publishes until it is told to stop; what went wrong is in `failure`."""

    def __init__(self, url: str, token: str, folder: Path, *, active: bool) -> None:
        """`active` makes it the DTLS client."""
        super().__init__(name="encoder", daemon=True)
        self._url = url
        self._options = {"authorization": token, **_certificate(folder)}
        if active:
            self._options["whip_flags"] = "dtls_active"
        self._stopping = threading.Event()
        self._clock: Clock = SystemClock()
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Encodes in real time."""
        try:
            with av.open(self._url, "w", format="whip", options=self._options) as container:
                self._publish(container)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            self.failure = error

    def finish(self) -> None:
        """Stops and waits for the session's end."""
        self._stopping.set()
        self.join(20)
        assert not self.is_alive()

    def _publish(self, container: av.container.OutputContainer) -> None:
        video = container.add_stream("libx264", rate=RATE)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.options = {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline"}
        video.codec_context.gop_size = RATE
        audio = container.add_stream("libopus", rate=AUDIO_RATE, layout="stereo")
        resampler = av.AudioResampler("s16", "stereo", AUDIO_RATE)
        picture = DemoVideo(WIDTH, HEIGHT, RATE)
        started, sounds = self._clock.now(), 0
        for count in range(RATE * 120):
            due = started + count / RATE
            if self._stopping.wait(max(0.0, due - self._clock.now())):
                break
            frame = av.VideoFrame.from_ndarray(picture.draw(count), format="rgb24")
            frame.pts = count
            container.mux(video.encode(frame))
            while sounds * AUDIO_FRAME / AUDIO_RATE <= count / RATE:
                sound = av.AudioFrame.from_ndarray(
                    DemoAudio.sound(sounds).reshape(1, -1), format="s16", layout="mono"
                )
                sound.sample_rate, sound.pts = AUDIO_RATE, sounds * AUDIO_FRAME
                for part in resampler.resample(sound):
                    container.mux(audio.encode(part))
                sounds += 1


def _certificate(folder: Path) -> dict[str, str]:
    """Files with a P-256 certificate and its key."""
    made = new_certificate(wall=SystemClock().wall())
    folder.mkdir(exist_ok=True)
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    certificate.write_text(ssl.DER_cert_to_PEM_cert(made.der))
    body = base64.encodebytes(made.private_key.reveal()).decode()
    key.write_text(f"-----BEGIN PRIVATE KEY-----\n{body}-----END PRIVATE KEY-----\n")
    return {"cert_file": str(certificate), "key_file": str(key)}
