"""`cpack` makes a Debian package with what its services need; dpkg lays it into an empty root as it says."""
import os
import pathlib
import tempfile

from support import ROOT, check, need, run

for program in ("cpack", "dpkg-deb", "dpkg-shlibdeps"):
    need(program)
BUILD = os.environ.get("TROUPE_BUILD", str(ROOT / "build/release"))


def main():
    with tempfile.TemporaryDirectory() as folder:
        run("cpack", "-G", "DEB", "--config", f"{BUILD}/CPackConfig.cmake", "-B", folder)
        packages = list(pathlib.Path(folder).glob("troupe_*.deb"))
        check(len(packages) == 1, f"cpack made {packages}")
        package = str(packages[0])
        depends = run("dpkg-deb", "-f", package, "Depends")
        for library in ("libc6", "libcaf-core", "libzmq5", "libhiredis", "libsqlite3-0"):
            check(library in depends, f"the package does not depend on {library}: {depends}")
        root = f"{folder}/root"
        run("dpkg-deb", "-x", package, root)
        run("dpkg-deb", "-e", package, f"{folder}/control")
        for script in ("postinst", "prerm", "postrm"):
            run("sh", "-n", f"{folder}/control/{script}")
            check(os.access(f"{folder}/control/{script}", os.X_OK), f"{script} cannot be run")
        check(pathlib.Path(f"{folder}/control/conffiles").read_text().split() == ["/etc/troupe/troupe.yaml"], "conffiles")
        program = f"{root}/usr/bin/troupe"
        check(run(program, "version").startswith("troupe " + run("dpkg-deb", "-f", package, "Version").strip().split("-")[0]), "the version is another")
        units = {path.name for path in pathlib.Path(f"{root}/usr/lib/systemd/system").iterdir()}
        check(units == {path.name for path in (ROOT / "deploy/systemd").glob("*.service")}, f"units: {units}")
        env = {"PATH": "/usr/bin:/bin", "TROUPE_CONFIG": f"{root}/etc/troupe/troupe.yaml"}
        check("smollm2-135m-instruct" in run(program, "config", "print", "--role", "serve", env=env), "its configuration names no model")
        for file in ("copyright", "README.md"):
            check(pathlib.Path(f"{root}/usr/share/doc/troupe/{file}").stat().st_size > 0, f"the package has no {file}")


main()
