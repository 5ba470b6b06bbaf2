"""NRRD and MetaImage: agreement with SimpleITK, detached data, and refusals by name."""

import bz2
import gzip
import zlib

import numpy as np
import pytest
import SimpleITK as sitk
from imaging_files import rotation, save, scan

from organincrement.imaging.errors import ImageError
from organincrement.imaging.geometry import grid_difference
from organincrement.imaging.safe_read import peek, read_image, read_stored
from organincrement.imaging.volume import Volume

VOXELS = scan().array_DHW.tobytes()


@pytest.mark.parametrize("suffix", [".nrrd", ".nhdr", ".mha", ".mhd"])
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("dtype", ["u1", "i2", "u4", "f8"])
def test_what_simpleitk_wrote_is_read_alike(tmp_path, suffix, compressed, dtype):
    volume = scan(dtype=dtype, direction=rotation() * np.array([1, -1, 1]))
    path = tmp_path / f"scan{suffix}"
    sitk.WriteImage(volume.to_sitk(), str(path), compressed)
    read = read_stored(path)
    np.testing.assert_array_equal(read.array_DHW, volume.array_DHW)
    assert read.array_DHW.dtype == np.dtype(dtype)
    assert grid_difference(read, Volume.from_sitk(sitk.ReadImage(str(path))), 1e-6) is None
    assert grid_difference(peek(path), volume) is None


def nrrd(path, data=VOXELS, **changed):
    """Write a NRRD file; a field set to None is left out."""
    fields = {
        "type": "short",
        "dimension": "3",
        "space": "left-posterior-superior",
        "sizes": "6 5 4",
        "space directions": "(1.25,0,0) (0,0.75,0) (0,0,3)",
        "kinds": "domain domain domain",
        "endian": "little",
        "encoding": "raw",
        "space origin": "(1,2,3)",
        **{key.replace("_", " "): value for key, value in changed.items()},
    }
    lines = ["NRRD0004", *(f"{key}: {value}" for key, value in fields.items() if value is not None)]
    path.write_bytes(("\n".join(lines) + "\n\n").encode() + data)
    return path


def test_ras_and_las_spaces_become_lps(tmp_path):
    assert read_image(nrrd(tmp_path / "a.nrrd")).origin_mm == (1, 2, 3)
    ras = read_image(nrrd(tmp_path / "b.nrrd", space="RAS"))
    assert ras.origin_mm == (-1, -2, 3)
    np.testing.assert_array_equal(ras.direction, np.diag([-1, -1, 1]))
    assert read_image(nrrd(tmp_path / "c.nrrd", space="left-anterior-superior")).origin_mm == (1, -2, 3)


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("bz2", bz2.compress), ("raw", bytes)], ids=["gzip", "bzip2", "raw"]
)
def test_each_encoding_and_byte_order_gives_the_same_voxels(tmp_path, encoding, pack):
    for endian, order in (("little", "<"), ("big", ">")):
        data = pack(scan().array_DHW.astype(f"{order}i2").tobytes())
        path = nrrd(tmp_path / f"{endian}.nrrd", data, encoding=encoding, endian=endian)
        np.testing.assert_array_equal(read_stored(path).array_DHW, scan().array_DHW)


def test_text_encoding_is_read(tmp_path):
    data = " ".join(map(str, scan().array_DHW.ravel())).encode()
    np.testing.assert_array_equal(
        read_stored(nrrd(tmp_path / "a.nrrd", data, encoding="ascii")).array_DHW, scan().array_DHW
    )
    with pytest.raises(ImageError, match="out of range"):
        read_image(nrrd(tmp_path / "b.nrrd", data.replace(b"119", b"99999"), encoding="ascii"))
    with pytest.raises(ImageError, match="cut off"):
        read_image(nrrd(tmp_path / "c.nrrd", data[:-9], encoding="ascii"))


def test_key_value_pairs_cannot_pass_for_fields(tmp_path):
    path = nrrd(tmp_path / "a.nrrd")
    path.write_bytes(
        path.read_bytes().replace(b"\n\n", b"\nsizes:=9 9 9\nSegment0_Name:=type: float\n# sizes: 9\n\n", 1)
    )
    assert read_image(path).shape_DHW == (4, 5, 6)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"type": "block"}, "voxel type"),
        ({"type": None}, "no 'type'"),
        ({"endian": None}, "no 'endian'"),
        ({"endian": "middle"}, "byte order"),
        ({"encoding": "hex"}, "encoding"),
        ({"sizes": "6 5 4 1 2", "dimension": "5"}, "5-D"),
        ({"sizes": "6 5"}, "disagree"),
        ({"sizes": "6 5 -4"}, "size"),
        ({"sizes": "6 5 four"}, "no whole numbers"),
        ({"sizes": "6 5 " + "9" * 18}, "above the limit"),
        ({"sizes": "6 5 5"}, "cut off"),
        ({"sizes": "6 5 2"}, "more voxels"),
        ({"space": None}, "no anatomical orientation"),
        ({"space": "scanner-xyz"}, "no anatomical orientation"),
        ({"space_directions": None}, "space directions"),
        ({"space_directions": "none (1,0,0) (0,1,0)"}, "not in space"),
        ({"space_directions": "(1,0,0) (0,1,0)"}, "not in space"),
        ({"space_directions": "(1,0) (0,1) (0,0)"}, "vector of three"),
        ({"space_directions": "(nan,0,0) (0,1,0) (0,0,1)"}, "not finite"),
        ({"space_directions": "(0,0,0) (0,1,0) (0,0,1)"}, "spacing"),
        ({"space_directions": "(1,0,0) (1,0,0) (0,0,1)"}, "inverted"),
        ({"space_directions": "(1,0,0) (0.3,1,0) (0,0,1)"}, "right angles"),
        ({"space_directions": "(1.25,0,0) (0,0_7,0) (0,0,3)"}, "vector of three"),
        ({"space_origin": "(١,2,3)"}, "vector of three"),
        ({"sizes": "6 5 ４"}, "no whole numbers"),
        ({"kinds": "vector domain domain"}, "kinds"),
        ({"kinds": "domain domain time"}, "kinds"),
        ({"kinds": "domain domain"}, "kinds"),
        ({"spacings": "1.25 0.75 5"}, "spacings beside"),
        ({"units": '"m" "m" "m"'}, "millimetres"),
        (
            {
                "sizes": "6 5 4 1",
                "dimension": "4",
                "kinds": "domain domain domain list",
                "space_directions": "(1,0,0) (0,1,0) (0,0,1) (0,0,1)",
            },
            "not in space",
        ),
        # SimpleITK takes L, P and S without being told.
        ({"space": None, "space_directions": None, "spacings": "1 1 1"}, "no anatomical orientation"),
        ({"space_origin": "(1e9,0,0)"}, "origin"),
        ({"space_units": '"m" "m" "m"'}, "millimetres"),
        ({"byte_skip": "-2"}, "skips"),
        ({"data_file": "../secret.raw"}, "outside its folder"),
        ({"data_file": "/etc/hostname"}, "outside its folder"),
        ({"data_file": "missing.raw"}, "missing"),
        ({"data_file": "LIST"}, "several files"),
        ({"data_file": "a%03d.raw 1 4 1"}, "several files"),
    ],
)
def test_a_nrrd_that_cannot_be_right_is_refused_with_name_and_reason(tmp_path, changed, reason):
    path = nrrd(tmp_path / "bad.nrrd", **changed)
    with pytest.raises(ImageError, match=rf"bad\.nrrd: .*{reason}") as refusal:
        read_image(path)
    assert "\n" not in str(refusal.value)


def test_detached_data_beside_the_header_are_read_but_not_through_a_link_out(tmp_path):
    folder = tmp_path / "scans"
    folder.mkdir()
    (folder / "voxels.raw").write_bytes(b"12345678" + VOXELS)
    path = nrrd(folder / "scan.nhdr", b"", **{"data file": "voxels.raw", "byte skip": "-1"})
    np.testing.assert_array_equal(read_stored(path).array_DHW, scan().array_DHW)
    (tmp_path / "secret.raw").write_bytes(VOXELS)
    (folder / "voxels.raw").unlink()
    try:
        (folder / "voxels.raw").symlink_to(tmp_path / "secret.raw")
    except OSError:
        pytest.skip("this system lets nobody make links")
    with pytest.raises(ImageError, match="link out of the folder"):
        read_image(path)


@pytest.mark.parametrize("changed", [
    {"kinds": None}, {"kinds": "space space space"}, {"kinds": "??? none domain"}, {"spacings": "NaN nan NaN"},
])  # fmt: skip
def test_kinds_in_space_and_empty_spacings_change_nothing(tmp_path, changed):
    assert read_image(nrrd(tmp_path / "a.nrrd", **changed)).spacing_mm == (3, 0.75, 1.25)


def test_a_nrrd_without_origin_and_a_metaimage_without_spacing_are_what_itk_takes_them_for(tmp_path):
    paths = [
        nrrd(tmp_path / "a.nrrd", space_origin=None, space="RAS"),
        metaimage(tmp_path / "a.mha", ElementSpacing=None),
        metaimage(tmp_path / "b.mha", ElementSpacing=None, ElementSize="2 3 4"),
    ]
    for path in paths:
        assert grid_difference(read_image(path), Volume.from_sitk(sitk.ReadImage(str(path))), 1e-6) is None
    assert read_image(paths[0]).origin_mm == (0, 0, 0) and read_image(paths[1]).spacing_mm == (1, 1, 1)


@pytest.mark.parametrize("name", ["liste.raw", "listing.raw", "LISTA 2.raw", "100%.raw", "50% dose.raw"])
def test_a_data_file_whose_name_only_looks_like_a_list_is_read(tmp_path, name):
    (tmp_path / name).write_bytes(VOXELS)
    for path in (
        nrrd(tmp_path / "a.nhdr", b"", data_file=name),
        metaimage(tmp_path / "a.mhd", b"", ElementDataFile=name),
    ):
        np.testing.assert_array_equal(read_stored(path).array_DHW, scan().array_DHW)


def test_a_header_size_that_says_where_the_header_ends_is_read(tmp_path):
    end = metaimage(tmp_path / "a.mha", b"", HeaderSize="000").stat().st_size
    for size in ("000", "-01", f"{end:03d}"):
        np.testing.assert_array_equal(
            read_stored(metaimage(tmp_path / "a.mha", HeaderSize=size)).array_DHW, scan().array_DHW
        )


def metaimage(path, data=VOXELS, **changed):
    """Write a MetaImage file; a field set to None is left out."""
    fields = {
        "ObjectType": "Image",
        "NDims": "3",
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": "False",
        "TransformMatrix": "1 0 0 0 1 0 0 0 1",
        "Offset": "1 2 3",
        "ElementSpacing": "1.25 0.75 3",
        "DimSize": "6 5 4",
        "ElementType": "MET_SHORT",
        **changed,
        "ElementDataFile": changed.get("ElementDataFile", "LOCAL"),
    }
    name = fields.pop("ElementDataFile")
    lines = [f"{key} = {value}" for key, value in fields.items() if value is not None]
    path.write_bytes("\n".join([*lines, f"ElementDataFile = {name}", ""]).encode() + data)
    return path


def test_big_endian_and_packed_metaimages_give_the_same_voxels(tmp_path):
    big = metaimage(tmp_path / "big.mha", scan().array_DHW.astype(">i2").tobytes(), BinaryDataByteOrderMSB="True")
    packed = metaimage(tmp_path / "packed.mha", zlib.compress(VOXELS), CompressedData="True")
    for path in (big, packed):
        np.testing.assert_array_equal(read_stored(path).array_DHW, scan().array_DHW)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"NDims": "4", "DimSize": "6 5 2 2"}, "4-D"),
        ({"NDims": "2"}, "disagree"),
        ({"DimSize": "6 5 5"}, "cut off"),
        ({"DimSize": "6 5 1"}, "more voxels"),
        ({"DimSize": "6 5 x"}, "not numbers"),
        ({"ElementNumberOfChannels": "3"}, "one plain number"),
        ({"ElementType": "MET_STRING"}, "one plain number"),
        ({"BinaryData": "False"}, "as text"),
        ({"ElementSpacing": "nan 1 1"}, "spacing"),
        ({"ElementSpacing": "0 1 1"}, "spacing"),
        ({"ElementSpacing": "1 1"}, "axes"),
        ({"ElementSpacing": "1.25 0_7 3"}, "not numbers"),
        ({"Offset": "1 2 ٣"}, "not numbers"),
        ({"HeaderSize": "10"}, "HeaderSize"),
        ({"HeaderSize": "-2"}, "HeaderSize"),
        ({"ElementDataFile": "LIST 2"}, "several files"),
        ({"ElementDataFile": "a%03d.raw 1 4 1"}, "several files"),
        ({"TransformMatrix": "1 0 0 1 0 0 0 0 1"}, "inverted"),
        ({"TransformMatrix": "2 0 0 0 1 0 0 0 1"}, "length 1"),
        ({"TransformMatrix": "1 0 0 0.6 0.8 0 0 0 1"}, "right angles"),
        ({"TransformMatrix": "nan 0 0 0 1 0 0 0 1"}, "length 1"),
        ({"ElementDataFile": "../secret.raw"}, "outside its folder"),
        ({"ElementDataFile": "gone.raw"}, "missing"),
        ({"ElementDataFile": "LIST"}, "several files"),
        ({"HeaderSize": "-7", "ElementDataFile": "voxels.raw"}, "HeaderSize"),
    ],
)
def test_a_metaimage_that_cannot_be_right_is_refused_with_name_and_reason(tmp_path, changed, reason):
    (tmp_path / "voxels.raw").write_bytes(VOXELS)
    with pytest.raises(ImageError, match=rf"bad\.mha: .*{reason}"):
        read_image(metaimage(tmp_path / "bad.mha", **changed))


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_packed_voxels_that_are_cut_off_are_refused(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(-1000, 1000, (20, 21, 22)).astype(np.int16)
    path = save(Volume(noise, (1, 1, 1), (0, 0, 0), np.eye(3)), tmp_path / f"cut{suffix}")
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ImageError, match="cut off"):
        read_image(path)


@pytest.mark.parametrize("name", ["not.nrrd", "not.mha", "not.nii", "not.nii.gz"])
def test_a_file_of_another_kind_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x89PNG\r\n" * 200)
    with pytest.raises(ImageError, match=name):
        read_image(tmp_path / name)
