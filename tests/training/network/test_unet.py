"""The network: its size, its skips, its saved form, and that folding changes nothing."""

from pathlib import Path

import pytest
import torch

from training.network.unet import UNet, count_parameters, fold_batchnorm, save_model

pytestmark = pytest.mark.slow


@pytest.fixture
def trained() -> UNet:
    """A network whose batch normalization has seen something."""
    torch.manual_seed(0)
    model = UNet(3)
    for _ in range(3):
        model(torch.randn(4, 3, 32, 32))
    return model.eval()


def test_a_quarter_of_the_channels_has_1_96_million_parameters_and_the_baseline_31_4() -> None:
    assert count_parameters(UNet(3)) == 1_964_097
    assert count_parameters(UNet(1)) == 1_963_809
    assert count_parameters(UNet(3, width=64)) == pytest.approx(31.4e6, rel=0.01)


def test_features_are_16_32_64_128_256_at_full_to_sixteenth_resolution() -> None:
    features = UNet(1).encoder(torch.zeros(1, 1, 64, 64))
    assert [tuple(f.shape[1:]) for f in features[1:]] == [
        (16, 64, 64),
        (32, 32, 32),
        (64, 16, 16),
        (128, 8, 8),
        (256, 4, 4),
    ]


def test_the_last_decoder_block_sees_the_full_resolution_skip() -> None:
    assert UNet(3).decoder.blocks[-1].conv1[0].in_channels == 32 + 16


def test_logits_have_the_image_s_size(trained: UNet) -> None:
    assert trained(torch.zeros(2, 3, 48, 80)).shape == (2, 1, 48, 80)


def test_a_size_that_is_no_multiple_of_16_is_refused(trained: UNet) -> None:
    with pytest.raises(RuntimeError, match="divisible by 16"):
        trained(torch.zeros(1, 3, 40, 40))


def test_dropout_follows_every_block() -> None:
    model = UNet(1, dropout=0.3)
    assert sum(isinstance(m, torch.nn.Dropout) and m.p == 0.3 for m in model.modules()) == 9


def test_two_channels_are_refused() -> None:
    with pytest.raises(ValueError, match="in_channels=2"):
        UNet(2)


def test_saved_and_loaded_gives_the_same_logits_without_a_pickle(trained: UNet, tmp_path: Path) -> None:
    save_model(trained, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "model.safetensors"}
    image = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(UNet.from_pretrained(tmp_path).eval()(image), trained(image))


def test_folding_batch_normalization_changes_no_logit(trained: UNet) -> None:
    folded = fold_batchnorm(trained)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
    image = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(folded(image), trained(image), rtol=1e-4, atol=1e-5)
